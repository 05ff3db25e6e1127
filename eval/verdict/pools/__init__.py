"""Ready-made pools for suites: pass^k, classification, retrieval, conversations.

Each is given functions that read a case or a result (``eval.verdict.pools.readers``). They are defined in a module
and are no lambdas, because a suite travels to the process that decides.
"""

from eval.verdict.pools.classification import ClassAccuracy as ClassAccuracy
from eval.verdict.pools.classification import ClassRecall as ClassRecall
from eval.verdict.pools.classification import MacroF1 as MacroF1
from eval.verdict.pools.confidence import AccuracyAtCoverage as AccuracyAtCoverage
from eval.verdict.pools.confidence import CalibrationError as CalibrationError
from eval.verdict.pools.confidence import CoverageAtAccuracy as CoverageAtAccuracy
from eval.verdict.pools.conversations import CostPerResolved as CostPerResolved
from eval.verdict.pools.conversations import TurnsPerConversation as TurnsPerConversation
from eval.verdict.pools.passing import PassHat as PassHat
from eval.verdict.pools.readers import CitedIn as CitedIn
from eval.verdict.pools.readers import FoundWith as FoundWith
from eval.verdict.pools.readers import Prediction as Prediction
from eval.verdict.pools.readers import ScoreReaches as ScoreReaches
from eval.verdict.pools.retrieval import CitationPrecision as CitationPrecision
from eval.verdict.pools.retrieval import RecallAt as RecallAt
