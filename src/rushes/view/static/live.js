// Keeps a page as new as the run: where the server says that something changed, the page is fetched again and the parts
// marked `data-live` are replaced. A part that somebody is in (focus, an open menu, a playing clip) is left for later.

const address = document.body.dataset.changes;
let source = null;
let waiting = false;
let busy = false;

async function refresh() {
  if (busy) {
    waiting = true;
    return;
  }
  busy = true;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.ok) {
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const other = next.getElementById(part.id);
        if (!other || part.contains(document.activeElement)) continue;
        replace(part, other);
        // A page that was waiting for its first content may be done with waiting.
        if (!("live" in other.dataset)) delete part.dataset.live;
      }
      document.dispatchEvent(new CustomEvent("refreshed"));
    }
  } catch {
    // The server is gone, or starts again: the stream says so when it is back.
  }
  busy = false;
  goOn();
  if (waiting) {
    waiting = false;
    setTimeout(refresh, 1000);
  }
}

// A page that says that the rest of a run is being read asks for it, until all is there.
function goOn() {
  if (document.querySelector("[data-reading]") && !document.hidden) setTimeout(refresh, 700);
}

function replace(part, other) {
  if (part.innerHTML === other.innerHTML) return;
  const open = [...part.querySelectorAll("details[id][open]")].map((each) => each.id);
  part.replaceChildren(...other.childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
}

function listen() {
  source = new EventSource(address);
  let first = true;
  source.onmessage = () => {
    document.body.dataset.connected = "yes";
    if (!first) refresh();
    first = false;
    document.dispatchEvent(new CustomEvent("changed"));
  };
  source.onerror = () => {
    document.body.dataset.connected = "no";
    first = false;
  };
}

// A browser opens few connections to one host: hidden pages give theirs up.
function follow() {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (!source) {
    listen();
    if (document.body.dataset.connected) refresh();
  }
}

goOn();
if (address) {
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => source?.close());
  follow();
}
