// Frames onto the canvas, and points on the canvas back into the page.

const HEADER_BYTES = 8;

export class Picture {
  #canvas;
  #stage;
  #context;
  /** The last frame, kept so that a resized canvas can be filled again. */
  #bitmap = null;
  /** The size of the page's viewport in CSS pixels: the space of all input. */
  #width = 0;
  #height = 0;
  /** Frames that came and are not drawn, oldest first. The server sends no third one before it has an answer. */
  #waiting = [];
  #isWorking = false;
  /** The newest frame, if it came while the window was hidden. */
  #unseen = null;

  constructor(canvas, stage) {
    this.#canvas = canvas;
    this.#stage = stage;
    this.#context = canvas.getContext('2d', { alpha: false });
    new ResizeObserver(() => this.#fit()).observe(stage);
    // Another zoom or screen changes the pixels of the device without changing the stage.
    addEventListener('resize', () => this.#fit());
    document.addEventListener('visibilitychange', () => this.#reveal());
  }

  get height() {
    return this.#height;
  }

  /** Takes a frame; `drawn(number)` is called when it is on the canvas, or will not get there. */
  show(buffer, drawn) {
    this.#waiting.push({ buffer, drawn });
    this.#work();
  }

  async #work() {
    if (this.#isWorking) return;
    this.#isWorking = true;
    while (this.#waiting.length > 0) {
      // Of what came meanwhile only the newest is worth the work, and in a hidden window not even that.
      const frames = this.#waiting.splice(0);
      const { buffer } = frames.at(-1);
      this.#unseen = document.hidden ? buffer : null;
      if (!document.hidden) await this.#paint(buffer);
      for (const frame of frames) frame.drawn(new DataView(frame.buffer).getUint32(0));
    }
    this.#isWorking = false;
  }

  async #paint(buffer) {
    const header = new DataView(buffer);
    const jpeg = new Blob([new Uint8Array(buffer, HEADER_BYTES)], { type: 'image/jpeg' });
    // A picture that cannot be decoded is replaced by the next one.
    const bitmap = await createImageBitmap(jpeg).catch(() => null);
    if (!bitmap) return;
    this.#bitmap?.close();
    this.#bitmap = bitmap;
    this.#width = header.getUint16(4);
    this.#height = header.getUint16(6);
    this.#fit();
  }

  /** The window can be seen again: so can what came while it was hidden. */
  #reveal() {
    if (document.hidden || !this.#unseen) return;
    this.show(this.#unseen, () => {});
  }

  /** Makes the canvas as large as the stage allows, in pixels of the device, and fills it. */
  #fit() {
    if (!this.#bitmap || !this.#width || !this.#height) return;
    const { clientWidth, clientHeight } = this.#stage;
    const scale = Math.min(clientWidth / this.#width, clientHeight / this.#height);
    const width = Math.max(1, Math.round(this.#width * scale * devicePixelRatio));
    const height = Math.max(1, Math.round(this.#height * scale * devicePixelRatio));
    const canvas = this.#canvas;
    // Setting a size clears the canvas, also when the size is the same.
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
      this.#context.imageSmoothingQuality = 'high';
    }
    canvas.style.width = `${width / devicePixelRatio}px`;
    canvas.style.height = `${height / devicePixelRatio}px`;
    this.#context.drawImage(this.#bitmap, 0, 0, width, height);
  }

  /** Where in the page a point of this window is; the nearest point of the page when it is outside. */
  toPage({ clientX, clientY }) {
    const box = this.#canvas.getBoundingClientRect();
    const within = (offset, length, pages) => {
      const at = length > 0 ? (offset / length) * pages : 0;
      return Math.round(Math.min(Math.max(at, 0), Math.max(pages - 1, 0)) * 100) / 100;
    };
    return {
      x: within(clientX - box.left, box.width, this.#width),
      y: within(clientY - box.top, box.height, this.#height),
    };
  }
}
