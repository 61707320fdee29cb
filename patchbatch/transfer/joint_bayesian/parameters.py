"""get_params and set_params as scikit-learn's tools expect them, without scikit-learn."""

from __future__ import annotations

import inspect
from typing import Any, Self

from patchbatch.errors import PatchBatchError


class Parameters:
    """Base of estimators whose constructor only stores its arguments under their own names."""

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments; `deep` changes nothing, as no argument is an estimator."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        """Set constructor arguments; what was fitted stays until the next fit.

        Raises
        ------
        PatchBatchError
            A name that the constructor does not have.
        """
        for name in params:
            if name not in self._names():
                raise PatchBatchError(
                    f"{type(self).__name__} has no setting {name!r}; it has {', '.join(self._names())}"
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({arguments})"
