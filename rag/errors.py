"""Everything that is raised on purpose.

WenbaoError
├── QuestionRejected     the asker must change the question
├── WrongUse             an option asks for what there isn't
├── TryLater             something outside is away for now
│   ├── LlmUnavailable       the language model does not answer
│   └── StoreUnavailable     the index can't be read or written (locked, full disk)
└── OperatorError        the person who runs Wenbao must act
    ├── IndexMismatch        the index was made by another model
    ├── ModelUnavailable     the embedding model can't be had or failed its check
    ├── UnreadableFile       a file that holds no page text
    ├── ArticleNotFound      no article has this id
    └── BadSettings          the environment is wrong
"""


class WenbaoError(Exception):
    """One sentence for a person, saying what to do."""


class QuestionRejected(WenbaoError):
    """The question is empty or too long, or filtered by what is no date."""


class WrongUse(WenbaoError):
    """An option asks for what there isn't: no such measure, too few questions to fit on."""


class TryLater(WenbaoError):
    """Something outside is away for now."""


class LlmUnavailable(TryLater):
    """The language model does not answer in time or refuses."""


class StoreUnavailable(TryLater):
    """The index can't be read or written just now."""


class OperatorError(WenbaoError):
    """The person who runs Wenbao must act."""


class IndexMismatch(OperatorError):
    """The index was made by another embedding model."""


class ModelUnavailable(OperatorError):
    """The embedding or translation model can't be had, or failed its check."""


class UnreadableFile(OperatorError):
    """A file that holds no page text."""


class ArticleNotFound(OperatorError):
    """No article has this id."""


class BadSettings(OperatorError):
    """The environment is wrong."""
