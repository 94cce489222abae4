// A ticket opens one console once; where its websocket goes.

const STOPPING = { 401: "signedOut", 403: "withdrawn", 404: "withdrawn", 409: "off" };

// The ticket was refused in a way that another try will not change.
export class Stop extends Error {
  constructor(state, detail) {
    super(detail);
    this.state = state;
  }
}

export async function fetchTicket(address, csrf, fields) {
  const response = await fetch(address, {
    method: "POST",
    credentials: "same-origin",
    redirect: "manual",
    headers: { "X-CSRFToken": csrf, "HX-Request": "true" },
    body: new URLSearchParams(fields),
  });
  if (response.ok) return response.json();
  const state = STOPPING[response.status];
  if (!state) throw new Error(String(response.status));
  const plain = response.headers.get("Content-Type")?.startsWith("text/plain");
  throw new Stop(state, plain ? await response.text() : "");
}

export function socketAddress(path) {
  const address = new URL(path, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return address.href;
}
