// Records in a stream of bytes: one byte what it is, four how long it is, and so many bytes (vms/console/serial/wire.py).

export const LIVE = 1;
export const HISTORY = 2;
export const STATUS = 3;
export const SKIPPED = 4;
const INPUT = 1;
const ASK = 3;
const HEAD = 5;
// The gateway takes no longer ones.
const LONGEST = 16384;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function record(kind, payload) {
  const bytes = new Uint8Array(HEAD + payload.length);
  new DataView(bytes.buffer).setUint32(1, payload.length);
  bytes[0] = kind;
  bytes.set(payload, HEAD);
  return bytes;
}

export const ask = (wish) => record(ASK, encoder.encode(JSON.stringify({ do: wish })));

// What is typed or pasted, in as many records as it takes.
export function input(bytes) {
  const records = [];
  for (let at = 0; at < bytes.length; at += LONGEST) records.push(record(INPUT, bytes.subarray(at, at + LONGEST)));
  return records;
}

export const encoded = (text) => encoder.encode(text);
export const facts = (payload) => JSON.parse(decoder.decode(payload));
export const count = (payload) => Number(new DataView(payload.buffer, payload.byteOffset, 8).getBigUint64(0));

function joined(first, second) {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}

// Takes the stream apart; calls take(kind, payload) for each whole record.
export class RecordReader {
  constructor(take) {
    this.take = take;
    this.rest = new Uint8Array(0);
  }

  feed(data) {
    let bytes = this.rest.length ? joined(this.rest, data) : data;
    while (bytes.length >= HEAD) {
      const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
      if (bytes.length < HEAD + length) break;
      this.take(bytes[0], bytes.subarray(HEAD, HEAD + length));
      bytes = bytes.subarray(HEAD + length);
    }
    this.rest = bytes.slice();
  }
}
