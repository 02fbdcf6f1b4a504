"""What a run shows in the terminal while it goes on. Prints; decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from nodes.wire import Record

#: without a terminal, a line of progress this often, s of the run
_PLAIN_EVERY_S: Final = 10.0


class Monitor:
    """Progress of a run: a bar in a terminal, a line now and then elsewhere."""

    def __init__(self, *, verbose: bool = False, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._verbose = verbose
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._next_plain_s = 0.0
        self._packets = 0
        self._lateness = ""

    def __enter__(self) -> Monitor:
        if self.console.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                TextColumn("{task.fields[text]}"),
                console=self.console,
                transient=True,
            )
            self._progress.start()
            self._task = self._progress.add_task("setting up", total=None, text="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text, markup=False)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Something that takes a while."""
        if self.console.is_terminal:
            with self.console.status(text):
                yield
        else:
            self.say(f"{text} ...")
            yield

    def setting_up(self, ready: int, of: int) -> None:
        """How many processes are ready."""
        if self._progress is not None and self._task is not None:
            self._progress.update(
                self._task, total=of, completed=ready, text=f"{ready} of {of} processes ready"
            )

    def advance(self, t_s: float, duration_s: float) -> None:
        """The run has got to `t_s`."""
        shown = min(max(t_s, 0.0), duration_s)
        text = f"{shown:4.0f} of {duration_s:.0f} s, {self._packets} packets{self._lateness}"
        if self._progress is not None and self._task is not None:
            self._progress.update(
                self._task, description="running", total=duration_s, completed=shown, text=text
            )
        elif t_s >= self._next_plain_s:
            self.say(text.strip())
            self._next_plain_s = t_s + _PLAIN_EVERY_S

    def see(self, record: Record, t_s: float) -> None:
        """Look at a record that passes; what a person would want to know is printed."""
        t_s = round(t_s, 1) + 0.0  # not "-0.0" for what comes just before the start
        if record.measurement == "channel":
            self._packets = int(record.fields.get("ingress", 0))
            if "lateness_us_p99" in record.fields:
                self._lateness = f", late p99 {float(record.fields['lateness_us_p99']):.0f} us"
        elif record.measurement == "plant_event":
            tags = record.tags
            self.say(f"{t_s:6.1f} s  plant: {tags['deviation']} at {tags['target']}, {record.fields['what']}")
        elif record.measurement in ("detection", "recovery"):
            tags = record.tags
            size = record.fields.get("size")
            text = f"{t_s:6.1f} s  twin:  {record.measurement}, {tags.get('kind')} of {tags.get('target')}"
            if isinstance(size, float):
                text += f", {size:.3g} {record.fields.get('unit', '')}".rstrip()
            self.say(text)
        elif record.measurement == "event" and (self._verbose or record.tags.get("level") == "warning"):
            self.say(f"{t_s:6.1f} s  {record.fields.get('text', '')}")
