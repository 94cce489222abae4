// The upload page: a file goes to the server in pieces, each with its SHA-256. What breaks off goes on where the server says
// it was; after a reload the same file is known again by its size and the SHA-256 of its beginning.

import { find, findAll } from "./dom.js";
import { format } from "./format.js";
import { sha256 } from "./sha256.js";

// Without the browser's own SHA-256 (pages without TLS) a large piece would hold the page up.
const PIECE = (crypto.subtle ? 32 : 4) * 1024 * 1024;
const BEGINNING = 1024 * 1024;
const LONGEST_PAUSE = 15000;
// The server's words for: taken, wrong place, other content, a ticket too old.
const TAKEN = 204;
const ELSEWHERE = 409;
const MISMATCH = 460;
const TOO_OLD = 401;
const OVER = new Set([400, 403, 404, 405, 410, 411, 413]);

const root = find("#upload");
const form = find("form", root);
const way = find("[data-way]", root);
const words = root.dataset;
let running = null;

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const digest = (buffer) => (crypto.subtle ? crypto.subtle.digest("SHA-256", buffer) : sha256(buffer));
const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
const base64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));

class Over extends Error {}

async function fingerprintOf(file) {
  return hex(await digest(await file.slice(0, BEGINNING).arrayBuffer()));
}

// --- what is shown

function complain(text) {
  const place = find("#upload-error", root);
  place.textContent = text;
  place.hidden = !text;
}

function say(text) {
  const place = find("[data-upload-words]", way);
  if (place.textContent !== text) place.textContent = text;
}

function sayTrouble(text) {
  const place = find("[data-upload-trouble]", way);
  place.hidden = !text;
  place.textContent = text ?? "";
}

function showFigures(upload, sent) {
  const percent = (100 * sent) / upload.size;
  find("progress", way).value = percent;
  find("[data-upload-percent]", way).textContent = format(percent, "percent");
  const now = performance.now();
  if (!upload.since || sent < upload.sentThen) Object.assign(upload, { since: now, sentThen: sent });
  const seconds = (now - upload.since) / 1000;
  const rate = seconds > 0.5 ? format((sent - upload.sentThen) / seconds, "rate") : "–";
  const figures = { sent: format(sent, "bytes"), total: format(upload.size, "bytes"), rate };
  find("[data-upload-figures]", way).textContent = words.wordLeft.replace(/\{(\w+)\}/g, (_whole, key) => figures[key]);
}

function showWay(upload) {
  form.hidden = true;
  way.hidden = false;
  find("[data-upload-name]", way).textContent = upload.name;
  find("[data-upload-operation]", way).href = upload.operation;
  showFigures(upload, upload.offset);
}

function showEnd(text, good) {
  find("[data-upload-cancel]", way).hidden = true;
  find("[data-upload-stay]", way).hidden = true;
  const back = find("[data-upload-back]", way);
  back.hidden = false;
  say(good ? text : "");
  sayTrouble(good ? "" : text);
  back.focus();
}

// --- the server

async function ask(address, options = {}) {
  const answer = await fetch(address, { headers: { Accept: "application/json" }, redirect: "error", ...options });
  const type = answer.headers.get("Content-Type") ?? "";
  if (!type.includes("json")) throw new Error(String(answer.status));
  return { status: answer.status, body: await answer.json() };
}

async function standing(upload) {
  const { body } = await ask(upload.standing);
  return Object.assign(upload, body);
}

function send(upload, piece, checksum) {
  const request = new XMLHttpRequest();
  upload.request = request;
  request.open("PATCH", upload.bytes);
  request.setRequestHeader("Upload-Ticket", upload.ticket);
  request.setRequestHeader("Upload-Offset", String(upload.offset));
  request.setRequestHeader("Upload-Checksum", `sha256 ${checksum}`);
  request.upload.addEventListener("progress", (event) => showFigures(upload, upload.offset + event.loaded));
  return new Promise((resolve) => {
    const done = () => resolve(request);
    for (const type of ["load", "error", "abort", "timeout"]) request.addEventListener(type, done);
    request.send(piece);
  });
}

function detailOf(request) {
  try {
    return JSON.parse(request.responseText).detail;
  } catch {
    return "";
  }
}

// --- the way

async function pieceAt(upload, offset) {
  if (offset >= upload.size) return null;
  try {
    const buffer = await upload.file.slice(offset, offset + PIECE).arrayBuffer();
    return { offset, buffer, checksum: base64(await digest(buffer)) };
  } catch {
    throw new Over(words.wordChanged);
  }
}

async function pause(upload) {
  upload.failures += 1;
  upload.since = 0;
  say(words.wordAgain);
  showFigures(upload, upload.offset);
  await wait(Math.min(500 * 2 ** upload.failures, LONGEST_PAUSE));
  try {
    await standing(upload);
  } catch {
    return; // The server is away, too: the next try tells.
  }
  sayTrouble(upload.trouble);
}

async function sendNext(upload) {
  if (upload.next?.offset !== upload.offset) upload.next = await pieceAt(upload, upload.offset);
  const piece = upload.next;
  const following = pieceAt(upload, piece.offset + piece.buffer.byteLength);
  // It is awaited only when this one has arrived.
  following.catch(() => {});
  const request = await send(upload, piece.buffer, piece.checksum);
  if (request.status === TAKEN) {
    upload.failures = 0;
    upload.offset = Number(request.getResponseHeader("Upload-Offset"));
    upload.next = await following;
    say(words.wordSending);
    sayTrouble("");
    return;
  }
  if (OVER.has(request.status)) throw new Over(detailOf(request));
  const place = request.getResponseHeader("Upload-Offset");
  if (request.status === ELSEWHERE || request.status === MISMATCH) upload.offset = Number(place);
  if (request.status === ELSEWHERE) return;
  if (request.status === TOO_OLD) {
    await standing(upload);
    return;
  }
  await pause(upload);
}

async function awaitEnd(upload) {
  say(words.wordEnding);
  while (upload.active) {
    await wait(300);
    try {
      await standing(upload);
    } catch {
      continue;
    }
    if (upload.active && upload.open && upload.offset < upload.size) return false;
  }
  return true;
}

async function carry(upload) {
  showWay(upload);
  say(words.wordMaking);
  while (upload.active) {
    if (!upload.open) {
      // Making it takes a moment; then it stays shut when all is there.
      if (upload.offset >= upload.size) break;
      await wait(250);
      await standing(upload).catch(() => {});
    } else if (upload.offset < upload.size) {
      say(upload.failures ? words.wordAgain : words.wordSending);
      await sendNext(upload);
    } else if (await awaitEnd(upload)) {
      break;
    }
  }
  if (upload.active) await awaitEnd(upload);
}

async function run(upload) {
  running = upload;
  upload.failures = 0;
  try {
    await carry(upload);
  } catch (error) {
    if (!(error instanceof Over)) throw error;
    await standing(upload).catch(() => {});
    running = null;
    showEnd(upload.error || error.message, false);
    return;
  }
  running = null;
  if (upload.state === "succeeded") {
    showFigures(upload, upload.size);
    showEnd(words.wordDone, true);
  } else {
    showEnd(upload.error || upload.state, false);
  }
}

// --- beginning

const waiting = () =>
  findAll("[data-waiting]").map((row) => ({
    standing: row.dataset.waiting,
    size: Number(row.dataset.size),
    fingerprint: row.dataset.fingerprint,
    name: row.dataset.name,
  }));

async function goOn(file, known) {
  const upload = await standing({ file, ...known });
  if (!upload.active) throw new Error(upload.error);
  await run(upload);
}

async function begin(file, fingerprint) {
  const data = new FormData(form);
  data.set("size", String(file.size));
  data.set("fingerprint", fingerprint);
  const { status, body } = await ask(form.action, { method: "POST", body: data });
  if (status !== 200) {
    complain(body.detail);
    find(body.field === "checksum" ? "#upload-checksum" : "#upload-name", form).focus();
    return;
  }
  await run({ file, ...body });
}

async function onSubmit(event) {
  event.preventDefault();
  const file = find("#upload-file", form).files[0];
  if (!file || running) {
    find("#upload-file", form).focus();
    return;
  }
  complain("");
  const button = find("[type=submit]", form);
  button.disabled = true;
  try {
    const fingerprint = await fingerprintOf(file);
    const known = waiting().find((one) => one.size === file.size && one.fingerprint === fingerprint);
    await (known ? goOn(file, known) : begin(file, fingerprint));
  } catch (error) {
    complain(error.message || words.wordChanged);
  } finally {
    button.disabled = false;
  }
}

async function onFile() {
  const file = find("#upload-file", form).files[0];
  if (!file) return;
  const name = find("#upload-name", form);
  const button = find("[type=submit]", form);
  name.value = file.name;
  const fingerprint = await fingerprintOf(file).catch(() => "");
  if (file !== find("#upload-file", form).files[0]) return;
  const known = waiting().find((one) => one.size === file.size && one.fingerprint === fingerprint);
  if (known) name.value = known.name;
  name.readOnly = Boolean(known);
  button.textContent = known ? words.wordContinue : words.wordUpload;
}

async function onCancel() {
  const upload = running;
  if (!upload) return;
  const headers = { "X-CSRFToken": words.csrf, "HX-Request": "true" };
  await fetch(upload.cancel, { method: "POST", headers }).catch(() => {});
}

form.addEventListener("submit", onSubmit);
find("#upload-file", form).addEventListener("change", onFile);
find("[data-upload-cancel]", way).addEventListener("click", onCancel);
// Chosen before this was read, or kept by the browser over a reload.
onFile();
addEventListener("beforeunload", (event) => {
  if (running) event.preventDefault();
});
