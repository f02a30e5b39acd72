"use strict";
(() => {
  const part = (name) => document.getElementById(`explorer-${name}`);
  const inflated = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  const words = async (text) => new TextDecoder().decode(await inflated(text));
  const numbers = async (text) => { // four planes of bytes
    const planes = await inflated(text);
    const n = planes.length / 4;
    const bytes = new Uint8Array(planes.length);
    for (let place = 0; place < planes.length; place++) bytes[4 * (place % n) + Math.floor(place / n)] = planes[place];
    return new Float32Array(bytes.buffer);
  };

  const start = async () => {
    const data = JSON.parse(part("data").textContent);
    const script = document.createElement("script");
    script.textContent = await words(part("library").textContent);
    document.head.append(script);
    const ids = JSON.parse(await words(data.ids));
    const small = ids.map((id) => id.toLowerCase());
    const lines = {
      ends: await numbers(data.lines.ends),
      limits: await numbers(data.lines.limits),
      data: await inflated(data.lines.data),
      curves: await inflated(data.lines.curves),
    };
    const samples = data.lines.n ? lines.data.length / data.lines.n : 0;
    lines.curves.forEach((step, place) => { // stored as differences, which start anew in each row
      if (place % samples) lines.curves[place] = lines.curves[place - 1] + step;
    });
    const nearest = data.nearest && new Uint16Array((await inflated(data.nearest.rows)).buffer);
    const pixels = data.images && (await inflated(data.images.pixels));
    const colours = data.images && Uint8Array.from(atob(data.images.colours), (letter) => letter.charCodeAt(0));
    const classes = await Promise.all(data.classes.map(async (one) => ({ ...one, codes: await inflated(one.codes) })));
    const known = new Map();
    const column = async (number) => {
      if (!known.has(number)) known.set(number, await numbers(data.columns[number].values));
      return known.get(number);
    };

    part("view").hidden = false; // what is drawn takes the width that there is
    const panels = [...part("lines").children];
    for (const panel of panels) {
      panel.hidden = false;
      panel.querySelector("canvas").hidden = !pixels;
    }
    const plots = [];
    for (const item of JSON.parse(part("plots").textContent)) {
      await Bokeh.embed.embed_item(item);
      plots.push(Bokeh.documents.at(-1));
    }
    for (const panel of panels) panel.hidden = true;
    const [scatter, ...drawn] = plots;
    const source = scatter.get_model_by_name("objects");
    const frame = scatter.get_model_by_name("scatter");
    const legend = scatter.get_model_by_name("legend");
    const entries = [...legend.items];

    const groups = { fit: "Fit", prediction: "Prediction", catalogue: "Catalogue" };
    for (const axis of ["x", "y"]) {
      for (const [group, title] of Object.entries(groups)) {
        const box = document.createElement("optgroup");
        box.label = title;
        data.columns.forEach((one, number) => {
          if (one.group === group) box.append(new Option(one.unit ? `${one.name} (${one.unit})` : one.name, number));
        });
        if (box.children.length) part(axis).append(box);
      }
      part(axis).value = Math.min(axis === "x" ? 0 : 1, data.columns.length - 1);
    }
    classes.forEach((one, number) => part("class").append(new Option(one.title, number)));

    const counted = (number) => `${number} object${number === 1 ? "" : "s"}`;
    // A label that Bokeh would take for TeX is none.
    const label = ({ name, unit }, log) =>
      `${log ? "log10 of " : ""}${name}${unit ? ` (${unit})` : ""}`.replaceAll("$", "").replaceAll("\\", "");
    const setRange = (range, values) => {
      let low = Infinity;
      let high = -Infinity;
      for (const value of values) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
      if (low > high) [low, high] = [0, 1];
      const margin = 0.04 * (high - low) || 1;
      range.setv({ start: low - margin, end: high + margin, reset_start: low - margin, reset_end: high + margin });
    };
    // The least and the greatest value; of those far from nearly all others, what is left without them.
    const bulk = (values) => {
      const known = values.filter((value) => !Number.isNaN(value)).sort(); // a Float32Array: as numbers
      if (!known.length) return known;
      const quantile = (share) => known[Math.round(share * (known.length - 1))];
      const [low, high] = [quantile(0.005), quantile(0.995)];
      return [Math.max(known[0], low - (high - low)), Math.min(known.at(-1), high + (high - low))];
    };
    const className = (one, row) => (one.codes[row] === 255 ? "no class" : one.names[one.codes[row]]);
    const drawScatter = async () => {
      const values = {};
      let undrawn = 0;
      for (const axis of ["x", "y"]) {
        const number = Number(part(axis).value);
        const log = part(`${axis}-log`).checked;
        const raw = await column(number);
        values[axis] = log ? raw.map((value) => (value > 0 ? Math.log10(value) : NaN)) : raw;
        setRange(frame[`${axis}_range`], bulk(values[axis]));
        frame[axis === "x" ? "below" : "left"][0].axis_label = label(data.columns[number], log);
      }
      let beyond = 0;
      const { x_range: across, y_range: up } = frame;
      for (let row = 0; row < data.n; row++) {
        const [x, y] = [values.x[row], values.y[row]];
        if (Number.isNaN(x + y)) undrawn += 1;
        else if (x < across.start || x > across.end || y < up.start || y > up.end) beyond += 1;
      }
      part("undrawn").textContent =
        (undrawn ? `${counted(undrawn)} without a value on one of the axes. ` : "") +
        (beyond ? `${counted(beyond)} beyond the axes: zoom out.` : "");
      const one = classes[Number(part("class").value)];
      const marks = one.names.map((_, place) => data.marks[place % data.marks.length]);
      const mark = ids.map((_, row) => (one.codes[row] === 255 ? data.no_class : marks[one.codes[row]]));
      source.data = {
        x: values.x,
        y: values.y,
        id: ids,
        class: ids.map((_, row) => className(one, row)),
        colour: mark.map(([colour]) => colour),
        marker: mark.map(([, marker]) => marker),
      };
      const shown = [...one.names, "no class"].map((name) => [name, source.data.class.indexOf(name)]);
      const present = shown.filter(([, row]) => row >= 0).slice(0, entries.length);
      present.forEach(([name, row], place) => entries[place].setv({ label: { value: name }, index: row }));
      legend.items = entries.slice(0, present.length);
    };

    const drawImage = (canvas, row) => {
      const { size, channels } = data.images;
      canvas.width = canvas.height = size;
      const image = new ImageData(size, size);
      for (let pixel = 0; pixel < size * size; pixel++) {
        const at = (row * size * size + pixel) * channels;
        for (let part = 0; part < 3; part++) {
          image.data[4 * pixel + part] = channels === 1 ? colours[3 * pixels[at] + part] : pixels[at + part];
        }
        image.data[4 * pixel + 3] = 255;
      }
      canvas.getContext("2d").putImageData(image, 0, 0);
    };
    const curve = (codes, row) => {
      const [first, last] = lines.ends.subarray(2 * row, 2 * row + 2);
      const [low, high] = lines.limits.subarray(2 * row, 2 * row + 2);
      const v = [];
      const s = [];
      for (let place = 0; place < samples; place++) {
        const code = codes[row * samples + place];
        v.push(first + ((last - first) * place) / (samples - 1));
        s.push(code ? low + ((high - low) * (code - 1)) / 254 : NaN);
      }
      return { v, s };
    };
    let chosen = [];
    let at = 0;
    let how = "";
    const drawLines = () => {
      part("turn").hidden = false;
      const shown = chosen.slice(at, at + panels.length);
      part("said").textContent = !chosen.length
        ? how || "no object chosen"
        : `${how}${chosen.length > panels.length ? `, ${at + 1} to ${at + shown.length}` : ""}`;
      part("before").hidden = part("next").hidden = chosen.length <= panels.length;
      part("before").disabled = at === 0;
      part("next").disabled = at + panels.length >= chosen.length;
      panels.forEach((panel, place) => {
        const row = shown[place];
        panel.hidden = row === undefined;
        if (row === undefined) return;
        const [heading, missing] = panel.querySelectorAll("p");
        heading.querySelector("strong").textContent = ids[row];
        heading.querySelector("span").textContent = classes
          .map((one) => `${one.title.replace(" class", "")} ${className(one, row)}`)
          .join(", ");
        heading.querySelector("button").hidden = !nearest;
        const has = row < data.lines.n;
        missing.hidden = has;
        panel.querySelector(".drawn").hidden = !has;
        if (!has) return;
        const frame = drawn[place].get_model_by_name("line");
        setRange(frame.x_range, lines.ends.subarray(2 * row, 2 * row + 2));
        setRange(frame.y_range, lines.limits.subarray(2 * row, 2 * row + 2));
        drawn[place].get_model_by_name("data").data = curve(lines.data, row);
        drawn[place].get_model_by_name("curve").data = curve(lines.curves, row);
        if (pixels) drawImage(panel.querySelector("canvas"), row);
      });
    };
    const choose = (rows, said) => {
      [chosen, at, how] = [rows, 0, said];
      source.selected.indices = rows;
      drawLines();
    };
    document.addEventListener("hiexp-chosen", () => {
      const { indices } = source.selected;
      if (indices.length === chosen.length && chosen.every((row, place) => row === indices[place])) return; // by `choose`
      part("search").value = "";
      const rows = [...indices].sort((a, b) => a - b);
      choose(rows, rows.length ? `${counted(rows.length)} chosen` : "");
    });
    const similar = (row) => {
      const { width } = data.nearest;
      const rows = [row, ...nearest.subarray(row * width, (row + 1) * width)];
      choose(rows, `${ids[row]} and the ${width} most similar to it, nearest first`);
    };
    panels.forEach((panel, place) => {
      panel.querySelector("button").addEventListener("click", () => similar(chosen[at + place]));
    });
    part("search").addEventListener("input", () => {
      const text = part("search").value.trim().toLowerCase();
      const exact = small.indexOf(text);
      const rows = [];
      if (exact >= 0) rows.push(exact);
      if (text) small.forEach((id, row) => { if (row !== exact && id.includes(text)) rows.push(row); });
      choose(rows, text ? `${counted(rows.length)} with this in the id` : "");
    });
    part("before").addEventListener("click", () => { at -= panels.length; drawLines(); });
    part("next").addEventListener("click", () => { at += panels.length; drawLines(); });
    for (const name of ["x", "y", "x-log", "y-log", "class"]) part(name).addEventListener("change", drawScatter);
    part("view").querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    await drawScatter();
  };

  const wrong = (said) => {
    part("wrong").textContent = said;
    part("wrong").hidden = false;
  };
  document.getElementById("explorer").hidden = false;
  const open = part("open");
  open.addEventListener("click", async () => {
    open.disabled = true;
    open.textContent = "loading";
    try {
      if (!("DecompressionStream" in globalThis)) throw new Error("it cannot inflate what the page holds");
      await start();
      open.hidden = true;
    } catch (error) {
      open.textContent = "Explore objects";
      wrong(`This browser does not show the objects: ${error.message}`);
    }
  });
})();
