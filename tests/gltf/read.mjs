// Reads .glb and .vrm files as their users do: `node read.mjs FILE REQUEST` prints what it found as JSON.
//
// REQUEST is a JSON file: {"pose": {bone: [x, y, z]}, "weights": {target: weight}, "mesh": name, "vertices": [index],
// "moment": [clip, seconds] of an animation or null, "motion": poses of a VRM model, 60 a second, or null}.
// The answer holds Khronos' validation report, what three.js has loaded, and where it puts the vertices.
import { readFileSync } from "node:fs";
import validator from "gltf-validator";

globalThis.self = globalThis; // three.js looks for what browsers call self
globalThis.createImageBitmap = async () => ({ width: 4, height: 4, close() {} });
const { AnimationMixer, Vector3 } = await import("three");
const { GLTFLoader } = await import("three/examples/jsm/loaders/GLTFLoader.js");
const { VRMLoaderPlugin } = await import("@pixiv/three-vrm");

const [file, request] = process.argv.slice(2);
const data = new Uint8Array(readFileSync(file));
const wanted = JSON.parse(readFileSync(request));
const report = await validator.validateBytes(data, { maxIssues: 20 });
const loader = new GLTFLoader();
loader.register((parser) => new VRMLoaderPlugin(parser));
const { scene, userData, animations } = await loader.parseAsync(data.buffer, "");

const answer = { issues: report.issues, triangles: 0, bones: {}, meshes: {}, vertices: [], influences: {}, vrm: null };
answer.clips = Object.fromEntries(animations.map(({ name, duration, tracks }) => [name, { duration, tracks: tracks.length }]));
scene.updateMatrixWorld(true);
scene.traverse((node) => {
  if (node.isBone) answer.bones[node.name] = node.getWorldPosition(new Vector3()).toArray();
  if (node.isSkinnedMesh) {
    const { attributes } = node.geometry;
    answer.triangles += node.geometry.index.count / 3;
    answer.meshes[node.name] = {
      targets: Object.keys(node.morphTargetDictionary ?? {}),
      vertices: attributes.position.count,
      material: node.material.name,
      textured: Boolean(node.material.map),
      bumps: Boolean(node.material.normalMap),
      rough: node.material.roughnessMap ? "by texture" : node.material.roughness,
      transparent: node.material.transparent,
    };
  }
});
for (const [bone, angles] of Object.entries(wanted.pose)) scene.getObjectByName(bone).rotation.set(...angles);
if (wanted.moment) {
  const mixer = new AnimationMixer(scene);
  mixer.clipAction(animations.find(({ name }) => name === wanted.moment[0])).play();
  mixer.setTime(wanted.moment[1]);
}
userData.vrm?.nodeConstraintManager?.update();
scene.updateMatrixWorld(true);
const mesh = scene.getObjectByName(wanted.mesh);
for (const [target, weight] of Object.entries(wanted.weights)) {
  mesh.morphTargetInfluences[mesh.morphTargetDictionary[target]] = weight;
}
mesh.skeleton.update();
for (const [target, index] of Object.entries(mesh.morphTargetDictionary ?? {})) {
  answer.influences[target] = mesh.morphTargetInfluences[index];
}
answer.vertices = wanted.vertices.map((vertex) => mesh.getVertexPosition(vertex, new Vector3()).toArray());
if (wanted.motion) {
  const { nodeConstraintManager, springBoneManager } = userData.vrm;
  answer.moved = wanted.motion.map((pose) => {
    for (const [bone, angles] of Object.entries(pose)) scene.getObjectByName(bone).rotation.set(...angles);
    nodeConstraintManager?.update();
    springBoneManager?.update(1 / 60);
    scene.updateMatrixWorld(true);
    mesh.skeleton.update();
    return wanted.vertices.map((vertex) => mesh.getVertexPosition(vertex, new Vector3()).toArray());
  });
}
if (userData.vrm) {
  const { meta, humanoid, expressionManager, lookAt } = userData.vrm;
  answer.vrm = {
    version: meta.metaVersion,
    bones: Object.keys(humanoid.humanBones),
    expressions: expressionManager.expressions.map((expression) => expression.expressionName),
    looks: Boolean(lookAt),
    springs: userData.vrm.springBoneManager?.joints.size ?? 0,
  };
}
console.log(JSON.stringify(answer));
