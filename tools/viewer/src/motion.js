// Poses, motions and expressions over time.
import { Quaternion, Vector3 } from "three";

const BLEND_SECONDS = 0.35; // from one pose to the next

/** A quaternion of a rotation vector (x, y, z), radians. */
function quaternion(vector) {
  const angle = vector.length();
  return new Quaternion().setFromAxisAngle(angle ? vector.divideScalar(angle) : vector.set(1, 0, 0), angle);
}

/** Quaternions of flat rotation vectors, one for each joint. */
function turnsOf(numbers) {
  return Array.from({ length: numbers.length / 3 }, (_, joint) =>
    quaternion(new Vector3().fromArray(numbers, 3 * joint)));
}

export class Motion {
  /** @param {Avatar} avatar @param {object} facts what the page carries */
  constructor(avatar, facts) {
    this.avatar = avatar;
    this.poses = Object.fromEntries(facts.poses.map(({ id, turns }) => [id, turnsOf(turns)]));
    this.clips = Object.fromEntries(facts.clips.map(({ id, frames, rate }) => [id, { frames: frames.map(turnsOf), rate }]));
    const { keys, weights, turns, joints, rate } = facts.talk;
    this.speech = { keys, weights, frames: turns.map(turnsOf), joints, rate };
    this.sliders = {}; // weights of keys
    this.shown = this.avatar.bones.map((bone) => bone.quaternion.clone());
    this.playing = true;
    this.talking = false;
    this.time = 0; // seconds of the clip
    this.said = 0; // seconds of the speech
    this.changed = true;
    this.blend = 1;
    this.quick = matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  get clip() {
    return this.clips[this.id] ?? null;
  }

  seconds(clip = this.clip) {
    return clip ? clip.frames.length / clip.rate : 0;
  }

  /** Go over to a pose or a motion. */
  choose(id) {
    this.id = id;
    this.from = this.shown;
    this.blend = this.from && !this.quick ? 0 : 1;
    this.time = 0;
    this.changed = true;
  }

  /** End the change from one pose to the next at once. */
  settle() {
    this.blend = 1;
    this.changed = true;
    this.advance(0);
  }

  talk(on) {
    this.talking = on;
    this.said = 0;
    this.changed = true;
  }

  /** Show a moment of the motion, or of the speech where nothing moves; from 0 to 1. */
  seek(share) {
    if (this.clip) this.time = share * this.seconds();
    else this.said = share * this.seconds(this.speech);
    this.changed = true;
  }

  get share() {
    return this.clip ? this.time / this.seconds() : this.said / this.seconds(this.speech);
  }

  /** @returns {boolean} whether the picture has changed */
  advance(seconds) {
    const moving = this.playing && (this.clip || this.talking);
    if (!moving && !this.changed && this.blend >= 1) return false;
    if (this.playing) {
      if (this.clip) this.time = (this.time + seconds) % this.seconds();
      if (this.talking) this.said = (this.said + seconds) % this.seconds(this.speech);
    }
    this.blend = Math.min(1, this.blend + seconds / BLEND_SECONDS);
    this.changed = false;
    this.#pose();
    this.avatar.express(this.weights());
    this.avatar.stand(Boolean(this.clip));
    return true;
  }

  /** Weights of all keys: the sliders', and those of speech. */
  weights() {
    const weights = { ...this.sliders };
    if (!this.talking) return weights;
    const { at, next, share } = moment(this.speech, this.said);
    this.speech.keys.forEach((key, column) => {
      const spoken = this.speech.weights[at][column] * (1 - share) + this.speech.weights[next][column] * share;
      weights[key] = Math.min(1, (weights[key] ?? 0) + spoken);
    });
    return weights;
  }

  #pose() {
    const goal = this.clip ? between(this.clip, this.time) : this.poses[this.id].map((turn) => turn.clone());
    if (this.talking) {
      between(this.speech, this.said).forEach((turn, row) => goal[this.speech.joints[row]]?.multiply(turn));
    }
    const ease = this.blend * this.blend * (3 - 2 * this.blend);
    if (ease < 1) goal.forEach((turn, joint) => this.from[joint] && turn.slerpQuaternions(this.from[joint], turn.clone(), ease));
    this.shown = goal;
    this.avatar.pose(goal);
  }
}

/** The frames around a moment of something that repeats. */
function moment({ frames, rate }, seconds) {
  const position = seconds * rate, at = Math.floor(position) % frames.length;
  return { at, next: (at + 1) % frames.length, share: position - Math.floor(position) };
}

function between(clip, seconds) {
  const { at, next, share } = moment(clip, seconds);
  return clip.frames[at].map((turn, joint) => turn.clone().slerp(clip.frames[next][joint], share));
}
