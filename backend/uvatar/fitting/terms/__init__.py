"""The terms of the fit: what a fitted body should agree with, as weighted least squares with derivatives.

Every term is in units of its expected error, so the sum of half squares is a negative log posterior. One file holds one
term: its residuals, their Jacobian, its weights and its tuned numbers. A new term goes into the tuple below.
"""

from uvatar.fitting.terms.balance import BalanceTerm
from uvatar.fitting.terms.base import Term
from uvatar.fitting.terms.bones import BoneTerm
from uvatar.fitting.terms.contact import ContactTerm
from uvatar.fitting.terms.face_size import FaceSizeTerm
from uvatar.fitting.terms.height import HeightTerm
from uvatar.fitting.terms.held_trunk import HeldTrunkTerm
from uvatar.fitting.terms.hinges import HingeTerm
from uvatar.fitting.terms.landmarks import LandmarkTerm
from uvatar.fitting.terms.outline import OutlineTerm
from uvatar.fitting.terms.palms import PalmTerm
from uvatar.fitting.terms.pose_prior import PosePriorTerm
from uvatar.fitting.terms.shape_prior import ShapePriorTerm
from uvatar.fitting.terms.straight_knees import StraightKneeTerm
from uvatar.fitting.terms.unseen_legs import UnseenLegTerm

TERMS: tuple[type[Term], ...] = (
    LandmarkTerm,
    BoneTerm,
    BalanceTerm,
    PosePriorTerm,
    HingeTerm,
    StraightKneeTerm,
    UnseenLegTerm,
    ShapePriorTerm,
    OutlineTerm,
    PalmTerm,
    HeightTerm,
    FaceSizeTerm,
    HeldTrunkTerm,
    ContactTerm,
)

__all__ = ["TERMS", "LandmarkTerm", "Term"]
