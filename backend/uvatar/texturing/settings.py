"""The tuned numbers of texturing, all together; each group stands beside the code that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field

from uvatar.texturing.completion import CompletionSettings
from uvatar.texturing.contamination import ContaminationSettings
from uvatar.texturing.detail import DetailSettings
from uvatar.texturing.even_light import EvenLightSettings
from uvatar.texturing.eyes import EyeSettings
from uvatar.texturing.flesh import FleshSettings
from uvatar.texturing.foreground import ForegroundSettings
from uvatar.texturing.merging import MergingSettings
from uvatar.texturing.mouth import MouthSettings
from uvatar.texturing.normal_map import NormalMapSettings
from uvatar.texturing.outfit import OutfitSettings
from uvatar.texturing.predicted import PredictionSettings
from uvatar.texturing.projection import ProjectionSettings
from uvatar.texturing.skin import SkinSettings
from uvatar.texturing.visibility import VisibilitySettings


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
