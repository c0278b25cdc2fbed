"""The two themes, dark and light: gold for what can be acted on, blue for the quick tier, violet for the full one.

Text has a contrast of 4.5:1 and more against every ground it stands on, borders and scrollbars 3:1; a test looks at
what is painted. `dim` is for what matters less: a colour of its own, since a part of the foreground's is too faint on
some grounds.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="assay-dark",
    primary="#d9a441",
    secondary="#6ea8d8",
    accent="#d9a441",
    success="#7fb77e",
    warning="#e0a458",
    error="#e57878",
    foreground="#d6d8dc",
    background="#15171b",
    surface="#1a1d22",
    panel="#23272e",
    dark=True,
    variables={
        "dim": "#9aa0aa",
        "foreground-muted": "#9aa0aa",
        "text-muted": "#9aa0aa",
        "text-disabled": "#9aa0aa",
        "quick": "#6ea8d8",
        "full": "#b48ce0",
        "border": "#d9a441",
        "border-blurred": "#6b7480",
        "footer-background": "#1a1d22",
        "footer-key-foreground": "#d9a441",
        "footer-description-foreground": "#9aa0aa",
        "block-cursor-background": "#352f22",
        "block-cursor-foreground": "#f4e3bd",
        "block-cursor-text-style": "none",
        "button-focus-text-style": "bold underline",
        "block-cursor-blurred-background": "#23272e",
        "input-selection-background": "#d9a441 35%",
        "scrollbar": "#6b7480",
        "scrollbar-hover": "#868f9c",
        "scrollbar-active": "#d9a441",
        "scrollbar-background": "#1a1d22",
        "scrollbar-background-hover": "#1a1d22",
        "scrollbar-background-active": "#1a1d22",
        "scrollbar-corner-color": "#1a1d22",
    },
)

LIGHT = Theme(
    name="assay-light",
    primary="#805200",
    secondary="#1f6396",
    accent="#805200",
    success="#266c34",
    warning="#8a4f00",
    error="#b3323a",
    foreground="#24272c",
    background="#f2f0eb",
    surface="#faf8f4",
    panel="#e8e4dc",
    dark=False,
    variables={
        "dim": "#5a5d63",
        "foreground-muted": "#5a5d63",
        "text-muted": "#5a5d63",
        "text-disabled": "#5a5d63",
        "quick": "#1f6396",
        "full": "#6d3fa8",
        "border": "#805200",
        "border-blurred": "#857d6e",
        "footer-background": "#e8e4dc",
        "footer-key-foreground": "#805200",
        "footer-description-foreground": "#5a5d63",
        "block-cursor-background": "#f0dfb8",
        "block-cursor-foreground": "#3a2a05",
        "block-cursor-text-style": "none",
        "button-focus-text-style": "bold underline",
        "block-cursor-blurred-background": "#e8e4dc",
        "input-selection-background": "#805200 25%",
        "scrollbar": "#857d6e",
        "scrollbar-hover": "#6b6456",
        "scrollbar-active": "#805200",
        "scrollbar-background": "#faf8f4",
        "scrollbar-background-hover": "#faf8f4",
        "scrollbar-background-active": "#faf8f4",
        "scrollbar-corner-color": "#faf8f4",
    },
)


def colours_for(theme: Theme) -> dict[str, str]:
    """The colours of ours, for a theme that does not know them."""
    ours = (DARK if theme.dark else LIGHT).variables
    return {name: ours[name] for name in ("quick", "full", "dim")}
