"""What is wrong with a file, as callers are told."""

from common.errors import BaridError

from contacts import errors
from contacts.domain.import_plan import WrongMapping
from contacts.domain.import_rows import TooManyTags
from contacts.domain.json_files import NotJsonLines
from contacts.domain.tables import BadHeader, Inflated, Undecodable, Unreadable
from contacts.domain.xlsx_files import NotXlsx

_CSV_MEND = "Save the sheet as “CSV UTF-8”, with one header row, and send that file"
_KINDS: dict[type[Unreadable], tuple[type[BaridError], str]] = {
    Undecodable: (errors.WrongEncoding, "Save the file as UTF-8, or name its encoding in the options"),
    BadHeader: (errors.InvalidHeader, "Give each column of the first row a name of its own, at most 500"),
    Inflated: (errors.InflatesTooFar, "Send the file uncompressed, or in parts"),
    TooManyTags: (errors.TooManyTags, "Map the column to an attribute, or leave it out"),
    NotXlsx: (errors.NotXlsx, "Open the workbook in a spreadsheet program and save it as XLSX or as “CSV UTF-8”"),
    NotJsonLines: (errors.NotJsonLines, "Write one JSON object a line, all with the same names"),
}


def unreadable(error: Unreadable) -> BaridError:
    """The file cannot be read; `row` and `column` say where."""
    kind, mend = _KINDS.get(type(error), (errors.NotCsv, _CSV_MEND))
    column = {} if error.column is None else {"column": error.column}
    return kind(str(error), mend=mend, row=error.row, **column)


def unusable(error: WrongMapping) -> BaridError:
    """The mapping does not fit the file or what is defined; `column` says which part of it."""
    if error.code == "missing_column":
        return errors.MissingColumn(str(error), column=error.column, mend="Name a column of the file's first row")
    if error.code == "unknown_attribute":
        return errors.UnknownAttribute(
            str(error), column=error.column, mend="Create the attribute, or send create_attributes: true"
        )
    return errors.InvalidMapping(
        str(error), column=error.column, mend="Map each column to one field or attributes.<name>"
    )


# What a route that takes files may answer.
FILE_PROBLEMS: tuple[type[BaridError], ...] = (
    errors.NotCsv,
    *(kind for kind, _ in _KINDS.values() if kind is not errors.TooManyTags),
)
