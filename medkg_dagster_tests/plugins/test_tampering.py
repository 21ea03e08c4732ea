"""Noticing and undoing what a plugin changes in classes and modules that are not its own."""

from __future__ import annotations

from types import ModuleType

from medkg_dagster.plugins.tampering import TamperWatch


def made() -> type:
    class Registry:
        limit = 3

        def find(self) -> str:
            return "found"

        @property
        def size(self) -> int:
            return 1

        @classmethod
        def load(cls) -> str:
            return cls.__name__

    return Registry


def test_nothing_changed_is_nothing_undone() -> None:
    registry = made()
    watch = TamperWatch([registry])

    registry()

    assert watch.undo() == ()


def test_what_is_replaced_added_and_removed_is_put_back_and_named() -> None:
    registry = made()
    watch = TamperWatch([registry])

    registry.find = lambda _self: "mine"  # type: ignore[attr-defined] # tampering
    registry.extra = 1  # type: ignore[attr-defined] # tampering
    del registry.load  # type: ignore[attr-defined] # tampering
    registry.size = 5  # type: ignore[attr-defined] # tampering

    assert watch.undo() == ("Registry.extra", "Registry.find", "Registry.load", "Registry.size")
    one = registry()
    assert (one.find(), one.size, one.load(), hasattr(one, "extra")) == ("found", 1, "Registry", False)
    assert watch.undo() == ()


def test_a_value_that_is_equal_and_another_is_left() -> None:
    registry = made()
    watch = TamperWatch([registry])

    registry.limit = int("3")  # type: ignore[attr-defined] # tampering

    assert watch.undo() == ()


def test_modules_are_watched_too() -> None:
    module = ModuleType("lab")
    module.settle = len  # type: ignore[attr-defined] # a module of the test
    watch = TamperWatch([module])

    module.settle = None  # type: ignore[attr-defined] # tampering

    assert watch.undo() == ("lab.settle",)
    assert module.settle is len


def test_one_watch_sees_every_change_after_the_last_undo() -> None:
    first, second = made(), made()
    watch = TamperWatch([first, second])

    first.find = None  # type: ignore[attr-defined] # tampering
    assert watch.undo() == ("Registry.find",)
    second.find = None  # type: ignore[attr-defined] # tampering
    assert watch.undo() == ("Registry.find",)
