"""What all parts of a study file share: they know their keys, and mistakes are told with their place."""

import difflib

import pydantic
import pydantic_core


def wrong(message, *at):
    """The error of a validator: what is wrong, at the keys `at` below the validated part."""
    return pydantic_core.PydanticCustomError("study", "{message}", {"message": message, "at": at})


class Strict(pydantic.BaseModel):
    """Knows its keys and refuses others, naming the nearest."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _known_keys(cls, content):
        for key in content if isinstance(content, dict) else ():
            if key not in cls.model_fields:
                near = difflib.get_close_matches(str(key), cls.model_fields, 1)
                meant = f", is {near[0]} meant?" if near else ""
                raise wrong(f"no such key{meant}; there are {', '.join(cls.model_fields)}", key)
        return content
