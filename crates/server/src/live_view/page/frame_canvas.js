// Draws frames onto the canvas, and maps points on the canvas to points in the page.

const HEADER_BYTES = 8;

export class FrameCanvas {
  #canvas;
  #canvasArea;
  #context;
  /** The last frame, kept to redraw a resized canvas. */
  #bitmap = null;
  /** The size of the page's viewport in CSS pixels. Input coordinates are relative to it. */
  #width = 0;
  #height = 0;
  /**
   * The frames that are not drawn yet, oldest first. The server sends at most two unacknowledged
   * frames.
   */
  #waiting = [];
  #isWorking = false;
  /** The newest frame, if it arrived while the window was hidden. */
  #unseen = null;

  constructor(canvas, canvasArea) {
    this.#canvas = canvas;
    this.#canvasArea = canvasArea;
    this.#context = canvas.getContext('2d', { alpha: false });
    new ResizeObserver(() => this.#fit()).observe(canvasArea);
    // Zooming or moving to another screen changes the device pixels, but not the canvas area.
    addEventListener('resize', () => this.#fit());
    document.addEventListener('visibilitychange', () => this.#reveal());
  }

  get height() {
    return this.#height;
  }

  /** Shows a frame. Calls `drawn(number)` when it is drawn or dropped. */
  show(buffer, drawn) {
    this.#waiting.push({ buffer, drawn });
    this.#work();
  }

  async #work() {
    if (this.#isWorking) return;
    this.#isWorking = true;
    while (this.#waiting.length > 0) {
      // Draw only the newest frame, and none while the window is hidden.
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
    // Skip a frame that cannot be decoded.
    const bitmap = await createImageBitmap(jpeg).catch(() => null);
    if (!bitmap) return;
    this.#bitmap?.close();
    this.#bitmap = bitmap;
    this.#width = header.getUint16(4);
    this.#height = header.getUint16(6);
    this.#fit();
  }

  /** Shows the frame that arrived while the window was hidden. */
  #reveal() {
    if (document.hidden || !this.#unseen) return;
    this.show(this.#unseen, () => {});
  }

  /** Resizes the canvas to fit the canvas area, in device pixels, and redraws it. */
  #fit() {
    if (!this.#bitmap || !this.#width || !this.#height) return;
    const { clientWidth, clientHeight } = this.#canvasArea;
    const scale = Math.min(clientWidth / this.#width, clientHeight / this.#height);
    const width = Math.max(1, Math.round(this.#width * scale * devicePixelRatio));
    const height = Math.max(1, Math.round(this.#height * scale * devicePixelRatio));
    const canvas = this.#canvas;
    // Setting the size clears the canvas, even if it does not change.
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
      this.#context.imageSmoothingQuality = 'high';
    }
    canvas.style.width = `${width / devicePixelRatio}px`;
    canvas.style.height = `${height / devicePixelRatio}px`;
    this.#context.drawImage(this.#bitmap, 0, 0, width, height);
  }

  /**
   * Maps a point of this window to the page. Points outside map to the nearest point of the page.
   */
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
