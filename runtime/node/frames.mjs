// Exchanges frames with the runner: a 4-byte big-endian length, then that many bytes of UTF-8 JSON.
// The kernel reads from fd 3 and writes to fd 4.
//
// Independent of the meaning of frames.

import { Buffer } from 'node:buffer';
import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import process from 'node:process';

const FD_IN = 3;
const FD_OUT = 4;
const HEADER_BYTES = 4;
// The code of one run has at most 100,000 characters, so the runner sends no frame of this size.
const MAX_FRAME_BYTES = 64 * 1024 * 1024;

// User code runs in this process and may replace any of these later.
const { concat, from, allocUnsafe } = Buffer;
const { parse, stringify } = JSON;
const { keys } = Object;
const reallyExit = process.reallyExit.bind(process);

export const EXIT_KERNEL_BROKEN = 70;

/** Exits without running the handlers that user code may have registered. */
export function exitNow(code) {
  reallyExit(code);
}

// Serializes each member separately. All are strings, numbers, booleans or null, for which
// stringify calls no toJSON that user code may have added to a prototype.
function textOf(frame) {
  let text = '';
  for (const key of keys(frame)) text += `${text === '' ? '' : ','}"${key}":${stringify(frame[key])}`;
  return `{${text}}`;
}

const identity = (fd) => {
  const { dev, ino } = fstatSync(fd);
  return `${dev}:${ino}`;
};

/**
 * Opens the channel and returns `{ send, assertIntact }`. Calls `onFrame` with each parsed frame.
 * The process exits at once when fd 3 is closed by the runner.
 */
export function openChannel(onFrame) {
  const identities = [identity(FD_IN), identity(FD_OUT)];
  const input = new Socket({ fd: FD_IN, readable: true, writable: false });
  const output = new Socket({ fd: FD_OUT, readable: false, writable: true });
  const write = output.write.bind(output);

  let pending = allocUnsafe(0);
  input.on('data', (chunk) => {
    pending = pending.length === 0 ? chunk : concat([pending, chunk]);
    while (pending.length >= HEADER_BYTES) {
      const length = pending.readUInt32BE(0);
      if (length > MAX_FRAME_BYTES) exitNow(EXIT_KERNEL_BROKEN);
      if (pending.length < HEADER_BYTES + length) return;
      const body = pending.subarray(HEADER_BYTES, HEADER_BYTES + length);
      pending = pending.subarray(HEADER_BYTES + length);
      onFrame(parse(body.toString('utf8')));
    }
  });
  input.on('end', () => exitNow(0));
  input.on('close', () => exitNow(0));
  input.on('error', () => exitNow(0));
  output.on('close', () => exitNow(EXIT_KERNEL_BROKEN));
  output.on('error', () => exitNow(EXIT_KERNEL_BROKEN));

  return {
    send(frame) {
      const body = from(textOf(frame), 'utf8');
      const header = allocUnsafe(HEADER_BYTES);
      header.writeUInt32BE(body.length, 0);
      // The socket queues bytes that do not fit into the pipe, so a runner that stops reading does
      // not block the kernel.
      write(concat([header, body]));
    },
    /**
     * Exits if user code has closed the kernel's descriptors. Another file may have taken their
     * numbers since.
     */
    assertIntact() {
      try {
        if (identity(FD_IN) === identities[0] && identity(FD_OUT) === identities[1]) return;
      } catch {
        // Closed.
      }
      exitNow(EXIT_KERNEL_BROKEN);
    },
  };
}
