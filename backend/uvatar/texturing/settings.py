"""The tuned numbers of texturing, all together; each group stands beside the code that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field

from uvatar.texturing.completion.smooth import CompletionSettings
from uvatar.texturing.light.even_light import EvenLightSettings
from uvatar.texturing.light.normal_map import NormalMapSettings
from uvatar.texturing.outfit import OutfitSettings
from uvatar.texturing.pattern.detail import DetailSettings
from uvatar.texturing.predicted import PredictionSettings
from uvatar.texturing.seen.contamination import ContaminationSettings
from uvatar.texturing.seen.eyes import EyeSettings
from uvatar.texturing.seen.flesh import FleshSettings
from uvatar.texturing.seen.foreground import ForegroundSettings
from uvatar.texturing.seen.merging import MergingSettings
from uvatar.texturing.seen.mouth import MouthSettings
from uvatar.texturing.seen.projection import ProjectionSettings
from uvatar.texturing.seen.skin import SkinSettings
from uvatar.texturing.seen.visibility import VisibilitySettings


@dataclass(frozen=True)
class TexturingSettings:
    """Tuned numbers of `texture_person`, by step.

    Those of a body's surface (`SurfaceSettings`), of the face's alignment (`FaceSettings`) and of a prediction's seams
    (`SeamSettings`) go into what is made before texturing.
    """

    visibility: VisibilitySettings = field(default_factory=VisibilitySettings)
    foreground: ForegroundSettings = field(default_factory=ForegroundSettings)
    projection: ProjectionSettings = field(default_factory=ProjectionSettings)
    merging: MergingSettings = field(default_factory=MergingSettings)
    skin: SkinSettings = field(default_factory=SkinSettings)
    contamination: ContaminationSettings = field(default_factory=ContaminationSettings)
    detail: DetailSettings = field(default_factory=DetailSettings)
    completion: CompletionSettings = field(default_factory=CompletionSettings)
    mouth: MouthSettings = field(default_factory=MouthSettings)
    outfit: OutfitSettings = field(default_factory=OutfitSettings)
    prediction: PredictionSettings = field(default_factory=PredictionSettings)
    light: EvenLightSettings = field(default_factory=EvenLightSettings)
    normals: NormalMapSettings = field(default_factory=NormalMapSettings)
    eyes: EyeSettings = field(default_factory=EyeSettings)
    flesh: FleshSettings = field(default_factory=FleshSettings)
