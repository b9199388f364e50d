// What the surface shows: texture, with the photo's light or without; maps, clay; wireframe and skeleton over it.
import {
  BufferGeometry, Float32BufferAttribute, InstancedMesh, LinearFilter, Matrix4, MeshBasicMaterial,
  MeshStandardMaterial, NearestFilter, Quaternion, SkinnedMesh, SRGBColorSpace, Texture, Vector3,
} from "three";

const CLAY = 0xc9c2ba, WITHOUT_MAP = 0xb8b8b8, LINES = 0x1d6fd1, BONES = 0xf28c28;
const LINE_OPACITY = 0.4;
const BONE_WIDTH = 0.16; // of its length
const UP = new Vector3(0, 1, 0);
// As `decoded_light` in uvatar.protocol.even_light: grey values of the light's natural logarithm.
const TIMES_LIGHT = "diffuseColor.rgb *= exp(photographed * (texture2D(photoLight, vMapUv).r * 255.0 - 128.0) / 100.0);";

export class Looks {
  constructor(avatar, scene) {
    this.avatar = avatar;
    this.own = new Map(avatar.meshes.map((mesh) => [mesh, mesh.material]));
    this.bodys = avatar.body.material;
    this.lines = avatar.meshes.map((mesh) => this.#lines(mesh));
    this.wired = false;
    this.skeleton = new Skeleton(avatar.bones);
    scene.add(this.skeleton.mesh);
    for (const material of this.own.values()) Object.assign(material, OFFSET);
  }

  /** Show the avatar's own materials, "clay", or a map: a picture by the body's texture coordinates. */
  async surface(id, maps) {
    const map = maps.find((one) => one.id === id);
    if (map) map.material ??= await mapMaterial(map.picture);
    const clay = new MeshStandardMaterial({ color: id === "clay" ? CLAY : WITHOUT_MAP, roughness: 0.75, ...OFFSET });
    for (const [mesh, own] of this.own) {
      mesh.material = id === "photo" ? own : map && own === this.bodys ? map.material : like(clay, own);
    }
  }

  /** Multiply the texture, which is evenly lit, by the photo's light: a picture by the same texture coordinates. */
  async photographed(on, address) {
    this.light ??= this.#withLight(address);
    (await this.light).photographed.value = Number(on);
  }

  /** Let materials with the body's texture take up the light. @returns what their shaders are told */
  async #withLight(address) {
    const light = { photoLight: { value: await plainTexture(address) }, photographed: { value: 0 } };
    for (const own of this.own.values()) {
      if (!own.map || own.map !== this.bodys.map) continue;
      own.onBeforeCompile = (shader) => {
        Object.assign(shader.uniforms, light);
        shader.fragmentShader = `uniform sampler2D photoLight;\nuniform float photographed;\n${shader.fragmentShader}`
          .replace("#include <map_fragment>", `#include <map_fragment>\n${TIMES_LIGHT}`);
      };
      own.needsUpdate = true;
    }
    return light;
  }

  wireframe(on) {
    this.wired = on;
    for (const lines of this.lines) lines.visible = on && lines.userData.of.visible;
  }

  part(mesh, on) {
    mesh.visible = on;
    this.wireframe(this.wired);
  }

  #lines(mesh) {
    const material = new MeshBasicMaterial({ color: LINES, wireframe: true, transparent: true, opacity: LINE_OPACITY });
    const lines = new SkinnedMesh(mesh.geometry, material);
    lines.bind(mesh.skeleton, mesh.bindMatrix);
    Object.assign(lines, { morphTargetInfluences: mesh.morphTargetInfluences, frustumCulled: false, visible: false });
    lines.morphTargetDictionary = mesh.morphTargetDictionary;
    lines.userData.of = mesh;
    mesh.parent.add(lines);
    return lines;
  }
}

// Lines lie on the surface, which makes room for them.
const OFFSET = { polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 1 };

/** A plain material that lets through what another one does. */
function like(plain, own) {
  if (!own.transparent && !own.alphaTest && own.side === plain.side) return plain;
  const material = plain.clone();
  Object.assign(material, { alphaMap: own.map ? alphaOf(own.map) : null, transparent: own.transparent, side: own.side });
  material.alphaTest = own.alphaTest;
  material.depthWrite = own.depthWrite;
  return material;
}

/** An alpha map, which is read from the green channel, of a texture's alpha channel. */
function alphaOf(texture) {
  const { image } = texture, canvas = document.createElement("canvas");
  Object.assign(canvas, { width: image.width, height: image.height });
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height);
  for (let at = 0; at < pixels.data.length; at += 4) pixels.data.fill(pixels.data[at + 3], at, at + 3);
  for (let at = 3; at < pixels.data.length; at += 4) pixels.data[at] = 255;
  context.putImageData(pixels, 0, 0);
  const alpha = new Texture(canvas);
  Object.assign(alpha, { flipY: false, needsUpdate: true });
  return alpha;
}

/** A picture by texture coordinates as glTF has them. */
async function plainTexture(address, settings = {}) {
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  const own = { flipY: false, generateMipmaps: false, minFilter: LinearFilter, needsUpdate: true };
  return Object.assign(new Texture(picture), own, settings);
}

async function mapMaterial(address) {
  const nearest = { minFilter: NearestFilter, magFilter: NearestFilter };
  const texture = await plainTexture(address, { colorSpace: SRGBColorSpace, ...nearest });
  return new MeshStandardMaterial({ map: texture, roughness: 0.9, ...OFFSET });
}

/** Bones as thin octahedra from joint to joint, seen through the surface. */
class Skeleton {
  constructor(bones) {
    this.pairs = bones.flatMap((bone) => bone.children.filter((child) => child.isBone).map((child) => [bone, child]));
    const material = new MeshBasicMaterial({ color: BONES, depthTest: false, transparent: true, opacity: 0.75 });
    this.mesh = new InstancedMesh(boneShape(), material, this.pairs.length);
    Object.assign(this.mesh, { frustumCulled: false, renderOrder: 1, visible: false });
  }

  update() {
    const head = new Vector3(), tail = new Vector3(), turn = new Quaternion(), matrix = new Matrix4();
    this.pairs.forEach(([bone, child], row) => {
      bone.getWorldPosition(head);
      tail.copy(child.getWorldPosition(tail)).sub(head);
      const length = tail.length(), width = Math.min(length * BONE_WIDTH, 0.03);
      turn.setFromUnitVectors(UP, tail.divideScalar(length || 1));
      this.mesh.setMatrixAt(row, matrix.compose(head, turn, new Vector3(width, length, width)));
    });
    this.mesh.instanceMatrix.needsUpdate = true;
  }
}

function boneShape() {
  const corners = [0, 0, 0, 0.5, 0.15, 0, 0, 0.15, 0.5, -0.5, 0.15, 0, 0, 0.15, -0.5, 0, 1, 0];
  const shape = new BufferGeometry();
  shape.setAttribute("position", new Float32BufferAttribute(corners, 3));
  shape.setIndex([0, 1, 2, 0, 2, 3, 0, 3, 4, 0, 4, 1, 5, 2, 1, 5, 3, 2, 5, 4, 3, 5, 1, 4]);
  return shape;
}
