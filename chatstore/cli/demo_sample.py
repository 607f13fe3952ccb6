"""A handful of conversations for `chatstore demo --small`, made up here."""

import json

_TALK = (
    ("What should I cook tonight?", "What is in the fridge?"),
    ("Eggs, spinach and half a lemon.", "Then an omelette: spinach inside, lemon over it."),
    ("¿Y de postre? 🍋", "Una crema de limón: azúcar, huevo y la otra mitad."),
    ("ありがとう!", "どういたしまして。"),
    ("How long for the omelette?", "Three minutes, on low heat."),
)
CONVERSATIONS = 40


def lines() -> str:
    """The conversations, as an OpenAI fine-tuning file."""
    rows = []
    for number in range(1, CONVERSATIONS + 1):
        messages = [{"role": "system", "content": "You help in the kitchen."}]
        for turn in range(number):
            question, answer = _TALK[(number + turn) % len(_TALK)]
            messages.append({"role": "user", "content": question})
            messages.append({"role": "assistant", "content": answer})
        rows.append({"id": f"kitchen-{number:02}", "messages": messages})
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
