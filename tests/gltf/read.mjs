// Reads .glb and .vrm files as their users do: `node read.mjs FILE REQUEST` prints what it found as JSON.
//
// REQUEST is a JSON file: {"pose": {bone: [x, y, z]}, "weights": {target: weight}, "mesh": name, "vertices": [index]}.
// The answer holds Khronos' validation report, what three.js has loaded, and where it puts the vertices.
import { readFileSync } from "node:fs";
import validator from "gltf-validator";

globalThis.self = globalThis; // three.js looks for what browsers call self
globalThis.createImageBitmap = async () => ({ width: 4, height: 4, close() {} });
const { Vector3 } = await import("three");
const { GLTFLoader } = await import("three/examples/jsm/loaders/GLTFLoader.js");
const { VRMLoaderPlugin } = await import("@pixiv/three-vrm");

const [file, request] = process.argv.slice(2);
const data = new Uint8Array(readFileSync(file));
const wanted = JSON.parse(readFileSync(request));
const report = await validator.validateBytes(data, { maxIssues: 20 });
const loader = new GLTFLoader();
loader.register((parser) => new VRMLoaderPlugin(parser));
const { scene, userData } = await loader.parseAsync(data.buffer, "");

const answer = { issues: report.issues, bones: {}, meshes: {}, vertices: [], vrm: null };
scene.updateMatrixWorld(true);
scene.traverse((node) => {
  if (node.isBone) answer.bones[node.name] = node.getWorldPosition(new Vector3()).toArray();
  if (node.isSkinnedMesh) {
    const { attributes } = node.geometry;
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
scene.updateMatrixWorld(true);
const mesh = scene.getObjectByName(wanted.mesh);
for (const [target, weight] of Object.entries(wanted.weights)) {
  mesh.morphTargetInfluences[mesh.morphTargetDictionary[target]] = weight;
}
mesh.skeleton.update();
answer.vertices = wanted.vertices.map((vertex) => mesh.getVertexPosition(vertex, new Vector3()).toArray());
if (userData.vrm) {
  const { meta, humanoid, expressionManager, lookAt } = userData.vrm;
  answer.vrm = {
    version: meta.metaVersion,
    bones: Object.keys(humanoid.humanBones),
    expressions: expressionManager.expressions.map((expression) => expression.expressionName),
    looks: Boolean(lookAt),
  };
}
console.log(JSON.stringify(answer));
