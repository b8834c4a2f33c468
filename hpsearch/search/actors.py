"""How an actor is asked something: by its method's name, and the answer is waited for."""

from typing import Any, Protocol

import ray


class Ask(Protocol):
    """Whoever answers: an actor, or in its place the object itself."""

    def __call__(self, method: str, /, *arguments: Any) -> Any: ...


def ask(actor: Any) -> Ask:
    def asked(method: str, /, *arguments: Any) -> Any:
        return ray.get(getattr(actor, method).remote(*arguments))

    return asked
