"""The discriminator's step, shared by all adversarial trainers."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from uvatar_training.adversarial.augmentation import Strength
from uvatar_training.adversarial.penalties import Lazy, r1_penalty
from uvatar_training.losses.adversarial import discriminator_loss
from uvatar_training.trainers.run import Turn


def judge(
    turn: Turn,
    bare: nn.Module,
    r1: Lazy,
    gamma: float,
    strength: Strength,
    real: Tensor,
    fake: Tensor,
    look: Callable[[Tensor], Tensor],
) -> dict[str, float]:
    """One step of the player "discriminator" on real and made textures (B, 3, R, R), with R1 where it is due; its
    losses by name.

    Args:
        bare: its network without Lightning Fabric's wrapper, through which no other code can take gradients; the
            penalty is better computed in single precision anyway.
        r1, gamma: when the penalty is due, and its weight.
        strength: strength of the augmentation, adapted to the discriminator's outputs.
        look: turns a texture into the discriminator's input.
    """
    bare.requires_grad_(True)
    discriminator = turn.networks["discriminator"]
    due = r1.due(turn.step)
    real = real.detach().requires_grad_(due)
    real_logits = (bare if due else discriminator)(look(real))
    loss = discriminator_loss(real_logits, discriminator(look(fake.detach())))
    log = {"discriminator": float(loss.detach())}
    if due:
        penalty = r1_penalty(real_logits, real)
        loss = loss + r1.weighted(penalty, gamma / 2)
        log["r1"] = float(penalty.detach())
    turn.descend("discriminator", loss)
    return {**log, "augmentation": strength.update(real_logits)}
