// The stage: renderer, light, ground, camera and who moves it.
import {
  AmbientLight, CircleGeometry, DirectionalLight, Group, HemisphereLight, Mesh, PCFShadowMap, PerspectiveCamera,
  PolarGridHelper, Scene, ShadowMaterial, Spherical, Timer, Vector3, WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

const FIELD_OF_VIEW = 28; // degrees, of the shorter side: like a portrait lens
const MARGIN = 1.12; // room around the avatar
const MAX_PIXEL_RATIO = 2; // more costs a phone's battery and is not seen
const KEY_TURN = Math.PI / 24; // of the camera, for each press of an arrow key
const KEY_ZOOM = 1.1;

export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    this.renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true });
    this.renderer.shadowMap.enabled = true;
    this.renderer.shadowMap.type = PCFShadowMap;
    this.scene = new Scene();
    this.camera = new PerspectiveCamera(FIELD_OF_VIEW, 1, 0.05, 60);
    this.controls = new OrbitControls(this.camera, canvas);
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    Object.assign(this.controls, { enableDamping: !still, dampingFactor: 0.12, maxPolarAngle: 1.75, autoRotateSpeed: 5 });
    this.controls.addEventListener("change", () => this.invalidate());
    this.focus = { center: new Vector3(0, 0.85, 0), width: 1.2, height: 1.8 };
    this.dirty = true;
    this.onFrame = () => false;
    this.#light();
    this.#ground();
    new ResizeObserver(() => this.#fit()).observe(canvas.parentElement);
    canvas.addEventListener("keydown", (event) => this.#key(event));
    const timer = new Timer();
    this.renderer.setAnimationLoop((now) => {
      timer.update(now);
      const moved = this.onFrame(Math.min(timer.getDelta(), 0.1));
      this.controls.update(timer.getDelta());
      if (moved || this.dirty) {
        this.dirty = false;
        this.renderer.render(this.scene, this.camera);
      }
    });
  }

  invalidate() {
    this.dirty = true;
  }

  #light() {
    this.studio = new Group();
    this.studio.add(new HemisphereLight(0xffffff, 0xb5aca4, 1.75));
    const key = new DirectionalLight(0xfff4e8, 1.6);
    key.position.set(1.3, 2.6, 3.2);
    key.castShadow = true;
    key.shadow.mapSize.set(1024, 1024);
    Object.assign(key.shadow.camera, { left: -1.6, right: 1.6, top: 2.4, bottom: -1.2, near: 0.5, far: 9 });
    key.shadow.radius = 5;
    const fill = new DirectionalLight(0xe6eeff, 0.8);
    fill.position.set(-2.8, 1.2, 1.8);
    const rim = new DirectionalLight(0xffffff, 1.3);
    rim.position.set(-1.2, 2.4, -3);
    this.studio.add(key, fill, rim);
    this.flat = new AmbientLight(0xffffff, Math.PI);
    this.flat.visible = false;
    this.scene.add(this.studio, this.flat);
  }

  setLight(kind) {
    this.studio.visible = kind === "studio";
    this.flat.visible = kind === "flat";
    this.invalidate();
  }

  #ground() {
    const shadow = new Mesh(new CircleGeometry(3, 48), new ShadowMaterial({ opacity: 0.22 }));
    shadow.rotation.x = -Math.PI / 2;
    shadow.receiveShadow = true;
    this.grid = new PolarGridHelper(1.5, 12, 3, 72, 0x808890, 0x808890);
    Object.assign(this.grid.material, { transparent: true, opacity: 0.22, depthWrite: false });
    this.grid.position.y = -0.001;
    this.scene.add(shadow, this.grid);
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas.parentElement;
    if (!width || !height) return;
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, MAX_PIXEL_RATIO));
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    this.look();
    // Resizing clears the canvas; what is drawn only with the next frame would flicker.
    this.renderer.render(this.scene, this.camera);
  }

  /** How far the camera must be to show a box of this size, which may turn about its axis. */
  #distance({ width, height }) {
    const tangent = Math.tan((FIELD_OF_VIEW * Math.PI) / 360);
    return (MARGIN * Math.max(height, width / this.camera.aspect)) / 2 / tangent + width / 4;
  }

  /** Show `focus` ({center, width, height}) from a direction (radians about the vertical, 0 from the front). */
  look(focus = this.focus, angle = null) {
    this.focus = focus;
    const way = this.camera.position.clone().sub(this.controls.target);
    const place = new Spherical().setFromVector3(way.lengthSq() ? way : new Vector3(0, 0, 1));
    if (angle !== null) Object.assign(place, { theta: angle, phi: 1.5 });
    place.radius = this.#distance(focus);
    Object.assign(this.controls, { minDistance: 0.15, maxDistance: place.radius * 4 });
    this.controls.target.copy(focus.center);
    this.camera.position.setFromSpherical(place).add(focus.center);
    this.controls.update();
    this.invalidate();
  }

  /** @returns {number} the direction in which the camera is, radians about the vertical. */
  turn(angle, tilt = 0, zoom = 1) {
    const place = new Spherical().setFromVector3(this.camera.position.clone().sub(this.controls.target));
    place.theta += angle;
    place.phi = Math.min(Math.max(place.phi + tilt, 0.1), this.controls.maxPolarAngle);
    place.radius *= zoom;
    this.camera.position.setFromSpherical(place).add(this.controls.target);
    this.controls.update();
    return place.theta;
  }

  #key(event) {
    const moves = {
      ArrowLeft: [-KEY_TURN], ArrowRight: [KEY_TURN], ArrowUp: [0, -KEY_TURN], ArrowDown: [0, KEY_TURN],
      "+": [0, 0, 1 / KEY_ZOOM], "-": [0, 0, KEY_ZOOM],
    };
    if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.turn(...moves[event.key]);
  }
}
