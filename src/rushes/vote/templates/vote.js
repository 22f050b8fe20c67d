"use strict";
// Blind votes on pairs of clips. The page's data names no clip, no model and no check. With `post` in the data every
// change is sent there; without it the browser keeps the votes, and they are saved as a file.
(() => {
  const study = JSON.parse(document.getElementById("study").textContent);
  const element = id => document.getElementById(id);
  const place = `rushes-vote-${study.study}`;
  const videos = [element("left"), element("right")];
  const keys = { ArrowLeft: "left", 1: "left", ArrowRight: "right", 2: "right", ArrowDown: "tie", 0: "tie", x: "cannot_tell", "?": "cannot_tell" };
  let rater = "", replies = [], steps = [], at = 0, since = null, shown = null, sending = Promise.resolve();

  // Each rater sees the pairs in an order of their own, the same one after a reload.
  function shuffled(items, name) {
    let state = 2166136261;
    for (const letter of study.study + name) state = Math.imul(state ^ letter.codePointAt(0), 16777619) >>> 0;
    const random = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const found = [...items];
    for (let i = found.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [found[i], found[j]] = [found[j], found[i]];
    }
    return found;
  }

  const file = () => JSON.stringify({ rushes_votes: 1, study: study.study, rater, replies });
  const isGiven = step => replies.some(each => each.pair === step.pair.name && each.question === step.question);

  function problem(text) {
    element("problem").textContent = text;
    element("problem").hidden = !text;
  }

  async function load() {
    if (study.post) {
      const answer = await fetch(`${study.post}?rater=${encodeURIComponent(rater)}`, { cache: "no-store" });
      if (!answer.ok) throw new Error(await answer.text());
      return (await answer.json()).replies;
    }
    try {
      const kept = JSON.parse(localStorage.getItem(`${place}-${rater}`));
      return Array.isArray(kept) ? kept : [];
    } catch { return []; }
  }

  function keep() {
    if (!study.post) {
      try { localStorage.setItem(`${place}-${rater}`, JSON.stringify(replies)); }
      catch { problem("This browser does not keep votes: save them as a file before you close the page."); }
      return;
    }
    const body = file();
    sending = sending.then(async () => {
      try {
        const answer = await fetch(study.post, { method: "POST", headers: { "Content-Type": "application/json" }, body });
        problem(answer.ok ? "" : `The last votes are not stored: ${await answer.text()}`);
      } catch { problem("The last votes are not stored: the server cannot be reached. Save them as a file."); }
    });
  }

  function enable(on) {
    for (const button of document.querySelectorAll("[data-choice]")) button.disabled = !on;
  }

  // Both begin at once, when both can be played: how long one takes to load must tell nothing.
  async function play(pair) {
    enable(false);
    since = null;
    const ready = videos.map(video => new Promise((done, failed) => {
      video.oncanplaythrough = done;
      video.onerror = () => failed(new Error("A video cannot be played here: choose “Cannot tell”."));
    }));
    videos.forEach((video, side) => { video.src = (study.media || "") + (side ? pair.right : pair.left); video.load(); });
    try {
      await Promise.all(ready);
      if (shown !== pair) return;
      begin();
      since = performance.now();
      enable(true);
    } catch (error) {
      if (shown !== pair) return;
      problem(error.message);
      document.querySelector('[data-choice="cannot_tell"]').disabled = false;
    }
  }

  function begin() {
    for (const video of videos) video.currentTime = 0;
    for (const video of videos) video.play().catch(() => {});
  }

  // They repeat together: each by itself would drift apart.
  for (const video of videos) video.addEventListener("ended", () => videos.every(each => each.ended) && begin());

  function show() {
    const isOver = at >= steps.length;
    element("voting").hidden = isOver;
    element("finished").hidden = !isOver;
    element("undo").disabled = !replies.length;
    element("count").textContent = `${replies.length} of ${steps.length}`;
    element("bar").max = steps.length;
    element("bar").value = replies.length;
    if (isOver) { shown = null; videos.forEach(video => video.pause()); return; }
    const { pair, question } = steps[at];
    element("text").textContent = pair.text;
    element("question").textContent = study.questions[question].text;
    element("hint").textContent = study.questions[question].hint;
    if (shown !== pair) { shown = pair; play(pair); } else { since = performance.now(); }
  }

  function choose(choice) {
    const button = document.querySelector(`[data-choice="${choice}"]`);
    if (at >= steps.length || button.disabled) return;
    const { pair, question } = steps[at];
    const seconds = since === null ? null : Math.round(performance.now() - since) / 1000;
    replies.push({ pair: pair.name, question, choice, seconds });
    problem("");
    keep();
    while (at < steps.length && isGiven(steps[at])) at++;
    show();
  }

  function undo() {
    const last = replies.pop();
    if (!last) return;
    at = steps.findIndex(step => step.pair.name === last.pair && step.question === last.question);
    keep();
    show();
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([file()], { type: "application/json" }));
    link.download = `votes-${study.study}-${rater.replace(/[^\w-]+/g, "-")}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  element("who").addEventListener("submit", async event => {
    event.preventDefault();
    rater = element("rater").value.trim().replace(/\s+/g, " ");
    if (!rater) return;
    steps = shuffled(study.pairs, rater).flatMap(pair => pair.questions.map(question => ({ pair, question })));
    const known = new Set(steps.map(step => `${step.pair.name} ${step.question}`));
    try {
      replies = (await load()).filter(each => known.has(`${each.pair} ${each.question}`));
    } catch (error) { event.target.querySelector("p").textContent = error.message; return; }
    try { localStorage.setItem(`${place}-name`, rater); } catch { /* a private window */ }
    at = steps.findIndex(step => !isGiven(step));
    if (at < 0) at = steps.length;
    element("who").hidden = true;
    element("sendback").hidden = Boolean(study.post);
    show();
  });
  for (const button of document.querySelectorAll("[data-choice]")) button.addEventListener("click", () => choose(button.dataset.choice));
  for (const button of document.querySelectorAll(".save")) button.addEventListener("click", save);
  element("undo").addEventListener("click", undo);
  element("undo-last").addEventListener("click", undo);
  element("replay").addEventListener("click", begin);
  document.addEventListener("keydown", event => {
    if (element("who").hidden === false || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const choice = keys[event.key];
    if (choice) choose(choice);
    else if (event.key === "u" || event.key === "Backspace") undo();
    else if (event.key === " " && !event.target.closest("button")) begin();
    else return;
    event.preventDefault();
  });
  try { element("rater").value = localStorage.getItem(`${place}-name`) || ""; } catch { /* a private window */ }
})();
