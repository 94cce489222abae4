// A machine's page: its facts hold for as long as its host answers, so each of the host's frames verifies them again.

import { delegate, findAll, find, hear, text } from "./dom.js";
import { toast } from "./toast.js";

function verify(frames) {
  for (const place of findAll("[data-verified-by]")) {
    const at = frames[place.dataset.verifiedBy]?.at;
    const age = find("time", place);
    if (at && age) age.dateTime = new Date(at * 1000).toISOString();
  }
}

async function copyFrom(button) {
  try {
    await navigator.clipboard.writeText(find(button.dataset.copyFrom).textContent);
    toast({ level: "success", text: text("copied") });
  } catch {
    toast({ level: "warning", text: text("notCopied") });
  }
}

hear("figures", ({ frames }) => verify(frames));
delegate("click", "[data-copy-from]", (_event, button) => copyFrom(button));
