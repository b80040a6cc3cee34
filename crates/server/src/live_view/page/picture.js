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
  #next = null;
  #isDecoding = false;

  constructor(canvas, stage) {
    this.#canvas = canvas;
    this.#stage = stage;
    this.#context = canvas.getContext('2d', { alpha: false });
    new ResizeObserver(() => this.#fit()).observe(stage);
    // Another zoom or screen changes the pixels of the device without changing the stage.
    addEventListener('resize', () => this.#fit());
    document.addEventListener('visibilitychange', () => this.#decode());
  }

  get isEmpty() {
    return !this.#bitmap;
  }

  get height() {
    return this.#height;
  }

  /** Takes a frame; `drawn(number)` is called when it is on the canvas, or will not get there. */
  show(buffer, drawn) {
    this.#next?.drawn();
    const number = new DataView(buffer).getUint32(0);
    this.#next = { buffer, drawn: () => drawn(number) };
    if (document.hidden) {
      this.#next.drawn();
      this.#next.drawn = () => {};
    }
    this.#decode();
  }

  async #decode() {
    if (this.#isDecoding) return;
    this.#isDecoding = true;
    while (this.#next && !document.hidden) {
      const { buffer, drawn } = this.#next;
      this.#next = null;
      try {
        const jpeg = new Blob([new Uint8Array(buffer, HEADER_BYTES)], { type: 'image/jpeg' });
        const bitmap = await createImageBitmap(jpeg);
        this.#bitmap?.close();
        this.#bitmap = bitmap;
        const header = new DataView(buffer);
        this.#width = header.getUint16(4);
        this.#height = header.getUint16(6);
        this.#fit();
      } catch {
        // A picture that cannot be decoded is replaced by the next one.
      }
      drawn();
    }
    this.#isDecoding = false;
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
