// Clips that belong together (`data-player`) play, stop, seek and step as one. Keys act on the group that was used last,
// at first on the first one: space plays, comma and full stop step one frame, L loops, minus and plus change the speed.

const SPEEDS = [0.1, 0.25, 0.5, 1, 1.5, 2];
const groups = [];
let current = null;

class Group {
  constructor(box) {
    this.box = box;
    this.videos = [...box.querySelectorAll("video")];
    this.lead = this.videos[0];
    if (!this.lead) return;
    this.bar = this.makeBar();
    box.append(this.bar);
    for (const video of this.videos) {
      if (video.controls) video.addEventListener("play", () => this.play());
      else video.addEventListener("click", () => this.toggle());
    }
    this.lead.addEventListener("timeupdate", () => this.follow());
    this.lead.addEventListener("seeked", () => this.follow(true));
    this.lead.addEventListener("pause", () => !this.lead.seeking && this.pause());
    this.lead.addEventListener("ended", () => this.pause());
    box.addEventListener("pointerdown", () => (current = this), true);
    box.addEventListener("focusin", () => (current = this));
    if (box.dataset.hover !== undefined && !matchMedia("(hover: none)").matches) {
      box.addEventListener("pointerenter", () => this.rest(true));
      box.addEventListener("pointerleave", () => this.rest(false));
    }
    current ??= this;
    this.show();
  }

  get fps() {
    return Number(this.lead.dataset.fps) || 8;
  }

  makeBar() {
    const bar = document.createElement("div");
    bar.className = "player-bar";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Playback");
    const button = (text, title, act) => {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = text;
      made.title = title;
      made.setAttribute("aria-label", title);
      made.addEventListener("click", act);
      bar.append(made);
      return made;
    };
    this.playButton = button("Play", "Play or pause (space)", () => this.toggle());
    button("−1", "One frame back (comma)", () => this.step(-1));
    button("+1", "One frame on (full stop)", () => this.step(1));
    this.loopButton = button("Loop", "Loop (L)", () => this.loop());
    this.speed = document.createElement("select");
    this.speed.setAttribute("aria-label", "Speed (minus and plus)");
    for (const each of SPEEDS) this.speed.append(new Option(`${each}×`, each, each === 1, each === 1));
    this.speed.addEventListener("change", () => this.setSpeed(Number(this.speed.value)));
    this.where = document.createElement("span");
    this.where.className = "soft where";
    bar.append(this.speed, this.where);
    return bar;
  }

  // Clips that play since the pointer rests on them stop when it leaves, unless they were told to play meanwhile.
  rest(isHere) {
    if (isHere && this.lead.paused) {
      this.isResting = true;
      this.play();
    } else if (!isHere && this.isResting) {
      this.isResting = false;
      this.pause();
    }
  }

  toggle() {
    const isAsked = this.lead.paused || this.isResting;
    this.isResting = false;
    if (isAsked) this.play();
    else this.pause();
  }

  play() {
    for (const video of this.videos) {
      if (video !== this.lead && video.readyState) video.currentTime = this.lead.currentTime;
      if (video.paused) video.play().catch(() => {});
    }
    this.show();
  }

  pause() {
    for (const video of this.videos) if (!video.paused) video.pause();
    this.follow(true);
    this.show();
  }

  // In the middle of a frame, so that rounding never shows its neighbour.
  step(by) {
    for (const video of this.videos) video.pause();
    const frame = Math.floor(this.lead.currentTime * this.fps + 1e-6);
    const last = Number.isFinite(this.lead.duration) ? Math.round(this.lead.duration * this.fps) - 1 : Infinity;
    const at = (Math.min(Math.max(frame + by, 0), last) + 0.5) / this.fps;
    for (const video of this.videos) {
      if (!video.readyState) video.load();
      video.currentTime = at;
    }
    this.show();
  }

  loop() {
    for (const video of this.videos) video.loop = !video.loop;
    this.show();
  }

  setSpeed(rate) {
    for (const video of this.videos) video.playbackRate = rate;
    this.speed.value = String(rate);
  }

  faster(by) {
    const at = SPEEDS.indexOf(this.lead.playbackRate);
    this.setSpeed(SPEEDS[Math.min(Math.max((at < 0 ? 3 : at) + by, 0), SPEEDS.length - 1)]);
  }

  // The others keep to the first one: a clip that is a frame or more away is moved.
  follow(exactly = false) {
    for (const video of this.videos) {
      const off = Math.abs(video.currentTime - this.lead.currentTime);
      if (video !== this.lead && video.readyState && off > (exactly ? 0.001 : 1 / this.fps)) {
        video.currentTime = this.lead.currentTime;
      }
    }
    this.show();
  }

  show() {
    this.playButton.textContent = this.lead.paused || this.isResting ? "Play" : "Pause";
    this.loopButton.setAttribute("aria-pressed", String(this.lead.loop));
    this.where.textContent = `frame ${Math.floor(this.lead.currentTime * this.fps + 1e-6) + 1}`;
  }
}

export function adopt(root = document) {
  for (const box of root.querySelectorAll("[data-player]:not([data-adopted])")) {
    box.dataset.adopted = "yes";
    groups.push(new Group(box));
  }
}

const all = document.getElementById("play-all");
all?.addEventListener("click", () => {
  const stop = groups.some((group) => group.lead && !group.lead.paused);
  for (const group of groups) if (group.lead) stop ? group.pause() : group.play();
  all.textContent = stop ? "Play all" : "Pause all";
});

const KEYS = {
  " ": (group) => group.toggle(),
  k: (group) => group.toggle(),
  ",": (group) => group.step(-1),
  ".": (group) => group.step(1),
  l: (group) => group.loop(),
  "-": (group) => group.faster(-1),
  "+": (group) => group.faster(1),
  "=": (group) => group.faster(1),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, button, summary, video")) return;
  const link = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (link) {
    link.click();
    return;
  }
  const act = KEYS[event.key.toLowerCase()];
  if (act && current?.lead) {
    event.preventDefault();
    act(current);
  }
});

adopt();
document.addEventListener("refreshed", () => adopt());
