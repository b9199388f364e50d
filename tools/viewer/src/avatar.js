// The avatar: its meshes, bones and keys, and how it stands.
import { Box3, Group, Quaternion, Vector3 } from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

const SOLE = 0.05; // metres above the ground, at rest
const STEP = 7; // of all vertices, one in so many is enough to find the lowest
const HEAD = 15; // in the order of SMPL's joints, which is that of the skin
const HEAD_HEIGHT = 0.32; // metres, what a view of the face shows

const AXES = { X: new Vector3(1, 0, 0), Y: new Vector3(0, 1, 0), Z: new Vector3(0, 0, 1) };
const CONSTRAINT = "VRMC_node_constraint";

/** The bones of a VRM file that follow others by a share; none of them is turned at rest. */
function followersOf(parser) {
  const rows = [...(parser.json.nodes ?? []).entries()].filter(([, node]) => node.extensions?.[CONSTRAINT]);
  return Promise.all(rows.map(async ([row, node]) => {
    const { rotation, roll } = node.extensions[CONSTRAINT].constraint, { source, weight, rollAxis } = roll ?? rotation;
    const [bone, followed] = await Promise.all([row, source].map((one) => parser.getDependency("node", one)));
    return { bone, source: followed, weight, about: AXES[rollAxis] };
  }));
}

export class Avatar {
  static async load(data) {
    const { scene, parser } = await new GLTFLoader().parseAsync(data, "");
    return new Avatar(scene, await followersOf(parser));
  }

  constructor(scene, followers) {
    this.followers = followers;
    this.group = new Group();
    this.group.add(scene);
    this.meshes = [];
    scene.traverse((node) => node.isSkinnedMesh && this.meshes.push(node));
    this.body = this.meshes.find((mesh) => mesh.name === "Body") ?? this.meshes[0];
    this.bones = this.body.skeleton.bones;
    for (const mesh of this.meshes) {
      mesh.frustumCulled = false; // its bounds are those at rest
      mesh.castShadow = true;
    }
    const { position } = this.body.geometry.attributes;
    const all = Array.from({ length: Math.ceil(position.count / STEP) }, (_, row) => row * STEP);
    const soles = [];
    for (let row = 0; row < position.count; row++) if (position.getY(row) < SOLE) soles.push(row);
    this.soles = soles;
    this.sample = [...all, ...soles];
    this.keys = Object.keys(this.body.morphTargetDictionary ?? {});
  }

  /** Turn the bones: `turns` has a quaternion for each, relative to the rest pose. */
  pose(turns) {
    this.bones.forEach((bone, joint) => turns[joint] && bone.quaternion.copy(turns[joint]));
    for (const { bone, source, weight, about } of this.followers) {
      const { x, y, z, w } = source.quaternion, turn = new Quaternion(x, y, z, w);
      if (about) turn.set(x * about.x, y * about.y, z * about.z, w).normalize();
      bone.quaternion.identity().slerp(turn, weight);
    }
  }

  /** The weights of the keys by name; keys that are not named are 0. */
  express(weights) {
    for (const { morphTargetDictionary: rows, morphTargetInfluences: influences } of this.meshes) {
      for (const name in rows ?? {}) influences[rows[name]] = weights[name] ?? 0;
    }
  }

  /** Put the lowest point on the ground: of the soles, or of anything. */
  stand(onSoles) {
    this.group.updateMatrixWorld(true);
    const point = new Vector3();
    let lowest = Infinity;
    for (const row of onSoles ? this.soles : this.sample) {
      lowest = Math.min(lowest, this.body.getVertexPosition(row, point).applyMatrix4(this.body.matrixWorld).y);
    }
    if (Number.isFinite(lowest)) this.group.position.y -= lowest;
    this.group.updateMatrixWorld(true);
  }

  /** What a view of the whole shows: a box that may turn about its vertical axis. */
  whole() {
    const box = new Box3(), point = new Vector3();
    for (const row of this.sample) {
      box.expandByPoint(this.body.getVertexPosition(row, point).applyMatrix4(this.body.matrixWorld));
    }
    const center = box.getCenter(new Vector3()), size = box.getSize(new Vector3());
    return { center, width: Math.hypot(size.x, size.z), height: size.y };
  }

  /** What a view of the face shows, and where the face looks, radians about the vertical. */
  face() {
    const head = this.bones[Math.min(HEAD, this.bones.length - 1)];
    const turn = head.getWorldQuaternion(new Quaternion());
    const ahead = new Vector3(0, 0, 1).applyQuaternion(turn);
    const center = head.getWorldPosition(new Vector3()).add(new Vector3(0, 0.1, 0.03).applyQuaternion(turn));
    return { focus: { center, width: HEAD_HEIGHT * 0.8, height: HEAD_HEIGHT }, angle: Math.atan2(ahead.x, ahead.z) };
  }
}
