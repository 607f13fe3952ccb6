"""Work that is one statement: nobody has to sit beside it while the server carries it out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from chatstore.sql.engine.conn import Conn

T = TypeVar("T")


class Single(ABC, Generic[T]):
    """One statement, which results in a row of integers, or in none.

    It is a work like any other. Being in parts, it can be sent by one who does not wait, too. `sql`
    has named parameters, of types that it says itself; `weight` is about how many bytes they take.
    """

    sql: str
    weight: int

    @property
    def repeatable(self) -> bool:
        """As in `Database.write`."""
        return False

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """Texts, integers, booleans and `None`. Asked for each time that it is sent."""

    @abstractmethod
    def result(self, row: Sequence[int] | None) -> T:
        """What the work results in; it may raise."""

    def refusal(self, error: Exception) -> Exception:
        """What is raised for an error of the driver: another one, or the same."""
        return error

    def __call__(self, conn: Conn) -> T:
        """Runs it as any other work, and waits."""
        try:
            row = conn.execute(self.sql, self.parameters()).fetchone()
        except Exception as error:
            told = self.refusal(error)
            if told is error:
                raise
            raise told from None
        return self.result(row)
