"""What a docstring tells the model: of the function, and of each parameter."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from agentkit.context import Context
from agentkit.schema import describe


def with_docstring(docstring: str | None) -> Callable[..., object]:
    def function(x: int = 0, y: int = 0, *rest: int) -> None: ...

    function.__doc__ = docstring
    return function


def told(function: Callable[..., object]) -> tuple[str, dict[str, str]]:
    """The description of the function, and those of its parameters."""
    schema = describe(function)
    properties: dict[str, Any] = schema.parameters["properties"]
    return schema.description, {name: each["description"] for name, each in properties.items() if "description" in each}


GOOGLE = """Sum it.

    More text.
    And more.

    Args:
        x (int, optional): The x
            goes on: here. Defaults to 3.
        y: One of "a", "b".
        *rest: The rest.

    Returns:
        int: The sum.

    Raises:
        ValueError: If bad.
    """
NUMPY = """
    Sum it.

    More text.
    And more.

    Parameters
    ----------
    x, y : int
        Both.

    Other Parameters
    ----------------
    *rest : int
        The rest.

    Attributes
    ----------
    q : int
        Not a parameter.

    Returns
    -------
    int
    """
REST = """Sum it.

    More text.
    And more.

    :param x: The x
        goes on.
    :type x: int
    :param int y: The y.
    :returns: The sum.
    :raises ValueError: If bad.
    """
EPYDOC = """Sum it.

    More text.
    And more.

    @param x: The x.
    @type x: int
    @param y: The y.
    @return: The sum.
    """
TEXT = "Sum it.\n\nMore text.\nAnd more."


@pytest.mark.parametrize(
    ("docstring", "description", "parameters"),
    [
        (GOOGLE, TEXT, {"x": "The x goes on: here. Defaults to 3.", "y": 'One of "a", "b".', "rest": "The rest."}),
        (NUMPY, TEXT, {"x": "Both.", "y": "Both.", "rest": "The rest."}),
        (REST, TEXT, {"x": "The x goes on.", "y": "The y."}),
        (EPYDOC, TEXT, {"x": "The x.", "y": "The y."}),
        (None, "", {}),
        ("", "", {}),
        ("Sum it.", "Sum it.", {}),
        ("Sum it\n    all.\n\n    More.", "Sum it\nall.\n\nMore.", {}),
        ("\n    Args:\n        x: The x.\n    ", "", {"x": "The x."}),
        ("Args:\n        x: The x.\n        y: The y.\n    ", "", {"x": "The x.", "y": "The y."}),
        ("Args:\n        x: The x.\n\n    Returns:\n        It.\n    ", "", {"x": "The x."}),
        ("Sum it.\n    Args:\n        x: The x.\n    ", "Sum it.", {"x": "The x."}),
        ("Sum it.\n\n    Args:\n        `x`: The x.\n    ", "Sum it.", {"x": "The x."}),
        ("Sum.\n\n    Note:\n        So.\n\n    Args:\n        x: X.\n    ", "Sum.\n\nNote:\n    So.", {"x": "X."}),
        ("Sum it.\n\n    Returns:\n        The sum.\n    ", "Sum it.", {}),
        ("Sum it.\n\n    Raises:\n        ValueError: If bad.\n    ", "Sum it.", {}),
        ("Sum it.\n\n    Example:\n        >>> f()\n    ", "Sum it.\n\nExample:\n    >>> f()", {}),
        ("Sum.\n\n    :class:`Foo` is taken.\n    ", "Sum.\n\n:class:`Foo` is taken.", {}),
        ("Sum.\n\n    @tool\n    def f(): ...\n    ", "Sum.\n\n@tool\ndef f(): ...", {}),
        ("Sum.\n\n    Args:\n        a stray line\n    ", "Sum.\n\nArgs:\n    a stray line", {}),
        ("Sum.\n\n    :\n    ", "Sum.\n\n:", {}),
        ("Sum.\n\n    :\n\n    Args:\n        x: X.\n    ", "Sum.\n\n:", {"x": "X."}),
        ("Sum.\n\n    :class:`Foo`: so.\n\n    Args:\n        x: X.\n    ", "Sum.\n\n:class:`Foo`: so.", {"x": "X."}),
        ("Sum it.\n    ", "Sum it.", {}),
    ],
    ids=lambda value: repr(value)[:50],
)  # fmt: skip
def test_any_style_is_read(docstring: str | None, description: str, parameters: dict[str, str]) -> None:
    """Google, NumPy, reST and Epydoc, without being told which; what is in no style is the description as it stands."""
    assert told(with_docstring(docstring)) == (description, parameters)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.sampled_from([*GOOGLE.split("\n"), *NUMPY.split("\n"), *REST.split("\n"), ":", "@", "é\x00", "Args: x"]),
        max_size=12,
    )
)
def test_no_docstring_refuses_a_tool(lines: list[str]) -> None:
    """However broken it is, a docstring is only text."""
    function = with_docstring("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn_explicit", lambda *args, **options: None)
        describe(function)


def test_types_and_values_in_a_docstring_are_only_text() -> None:
    """The annotation is the type; what the docstring says about it is for reading."""

    def function(unit: str) -> None:
        """Measure.

        Args:
            unit ({"m", "km"}): The unit. Defaults to "m".
        """

    assert describe(function).parameters["properties"]["unit"] == {
        "type": "string",
        "description": 'The unit. Defaults to "m".',
    }


def test_a_field_says_more_than_the_docstring_and_the_docstring_more_than_a_string() -> None:
    """The nearest to the parameter wins; all of it is squeezed to one line."""

    def function(
        a: Annotated[int, "string a", Field(description="field\n  a")],
        b: Annotated[int, "string b"],
        c: Annotated[int, 5, "string c", "another"],
        d: Annotated[int, Field(description="first d")] = Field(description="field d"),
        e: str = "",
    ) -> None:
        """Do.

        Args:
            a: docstring a
            b: docstring b
            d: docstring d
        """

    assert told(function)[1] == {"a": "field a", "b": "docstring b", "c": "string c", "d": "field d"}


def test_the_text_of_a_class_does_not_hide_that_of_the_parameter() -> None:
    """What the docstring says stands beside the `$ref`; what the class says is in its definition."""

    class Place(BaseModel):
        """Where."""

        x: int

    def go(to: Place, via: Place | None = None) -> None:
        """Go.

        Args:
            to: The goal.
        """

    parameters = describe(go).parameters
    assert parameters["properties"]["to"] == {"$ref": "#/$defs/Place", "description": "The goal."}
    assert parameters["$defs"]["Place"]["description"] == "Where."


def test_a_method_inherits_its_docstring() -> None:
    """As `help()` shows it."""

    class Base:
        def run(self, x: int) -> None:
            """Run.

            Args:
                x: The x.
            """

    class Child(Base):
        def run(self, x: int) -> None: ...

    assert told(Child().run) == ("Run.", {"x": "The x."})


def test_a_parameter_that_is_documented_but_not_there_is_warned_about() -> None:
    """A renamed parameter is found when the module is imported; the context may be documented."""

    def function(ctx: Context[None], city: str) -> None:
        """Look.

        Args:
            ctx: The run.
            town: The town.
        """

    with pytest.warns(UserWarning, match="tool 'function', parameter 'town' is in the docstring") as caught:
        describe(function)
    assert [str(each.message).count("ctx") for each in caught] == [0]
    assert (caught[0].filename, caught[0].lineno) == (__file__, function.__code__.co_firstlineno)


def test_long_descriptions_are_not_cut() -> None:
    """A provider's limit is that provider's business."""
    assert len(describe(with_docstring("word " * 1000)).description) > 4000


def test_a_long_docstring_is_read_in_good_time() -> None:
    """Each line of it is looked at once, and not from each line before it."""
    for filling in ("\n" * 200_000, " " * 200_000, "- " * 100_000, ":param x: The x.\n" * 2000):
        assert told(with_docstring(f"Sum it.\n\n{filling}\nMore.\n"))[0].startswith("Sum it.")
