"""Every statement of the paper, P1 to P57, and every trait of the released code beside it, S1 onward."""

from alexrepro.paper.statements import claims, departures, further, learning, network, pipeline, testing
from alexrepro.paper.statements.statement import Statement

STATEMENTS: tuple[Statement, ...] = (
    *network.DATA,
    *network.ARCHITECTURE,
    *network.COUNTS,
    *learning.REGULARIZATION,
    *learning.LEARNING,
    *claims.DIFFERENCES,
    *claims.RESULTS,
    *claims.PICTURES,
    *further.FURTHER,
    *departures.SIZES,
    *departures.ORDER,
    *departures.START_AND_UPDATE,
    *pipeline.SCHEDULE,
    *pipeline.DATA,
    *testing.TESTING,
    *testing.MORE_DATA,
)
