"""Pictures of a user's own: each by itself, and nothing left of one that fails."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from hiexp.plots.reliability import reliability
from hiexp.run.outcome import draw_own


def test_a_picture_that_fails_leaves_no_file_and_the_next_is_drawn(tmp_path, caplog):
    def half(outcome):
        figure = Figure()
        figure.savefig = lambda file, **options: [file.write_bytes(b"half"), 1 / 0]
        return figure

    def setting(outcome):
        mpl.rcParams["font.size"] = 40
        raise ValueError("no\nsuch \x1b[31mcolour")

    size, drawn = mpl.rcParams["font.size"], []
    own = {
        "half": half,
        "setting": setting,
        "mine": lambda outcome: drawn.append(mpl.rcParams["font.size"]) or Figure(),
    }
    draw_own(SimpleNamespace(), own, tmp_path)
    assert [file.stem for file in tmp_path.glob("*.png")] == ["mine"]
    assert drawn == [size]
    assert not {"half", "setting"} & {file.stem for file in tmp_path.iterdir()}
    messages = [record.getMessage() for record in caplog.records]
    assert [message.split(":")[0] for message in messages] == ["pictures.half", "pictures.setting"]
    assert "\x1b" not in "".join(messages)
    assert "\n" not in "".join(messages)


def test_reliability_counts_every_object_once():
    """Of repeated folds the first repeat is drawn: the others have the same objects."""
    reference = np.arange(40) % 2
    model = [SimpleNamespace(classes_=np.arange(2))]
    parts = [
        SimpleNamespace(
            probability=np.full((40, 2), 0.5),
            model=model,
            division=SimpleNamespace(test=np.arange(fold, 40, 2), repeat=repeat),
        )
        for repeat in (1, 2, 3)
        for fold in (0, 1)
    ]
    outcome = SimpleNamespace(reference=reference, parts=parts, classes=np.arange(2))
    figure = reliability(outcome)
    assert figure.get_suptitle().startswith("40 objects held out")
    assert [panel.get_title() for panel in figure.axes] == ["class 0, 20 objects", "class 1, 20 objects"]
    assert [text.get_text() for panel in figure.axes for text in panel.texts] == ["40", "40"]
