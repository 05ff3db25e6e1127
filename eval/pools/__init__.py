"""Ready-made pools for suites: pass^k, classification, retrieval, conversations.

Each is given functions that read a case or a result (``eval.pools.readers``). They are defined in a module and are no lambdas,
because a suite travels to the process that decides.
"""

from eval.pools.classification import ClassAccuracy as ClassAccuracy
from eval.pools.classification import ClassRecall as ClassRecall
from eval.pools.classification import MacroF1 as MacroF1
from eval.pools.confidence import AccuracyAtCoverage as AccuracyAtCoverage
from eval.pools.confidence import CalibrationError as CalibrationError
from eval.pools.confidence import CoverageAtAccuracy as CoverageAtAccuracy
from eval.pools.conversations import CostPerResolved as CostPerResolved
from eval.pools.conversations import TurnsPerConversation as TurnsPerConversation
from eval.pools.passing import PassHat as PassHat
from eval.pools.readers import CitedIn as CitedIn
from eval.pools.readers import FoundWith as FoundWith
from eval.pools.readers import Prediction as Prediction
from eval.pools.readers import ScoreReaches as ScoreReaches
from eval.pools.retrieval import CitationPrecision as CitationPrecision
from eval.pools.retrieval import RecallAt as RecallAt
