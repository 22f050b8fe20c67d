(() => {
  const videos = [...document.querySelectorAll("video[autoplay]")];
  const button = document.getElementById("play");
  if (!videos.length || !button) return;
  let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  const apply = () => {
    for (const video of videos) playing ? video.play().catch(() => {}) : video.pause();
    button.textContent = playing ? "Pause clips" : "Play clips";
  };
  button.hidden = false;
  button.addEventListener("click", () => { playing = !playing; apply(); });
  // Two players drift apart: whenever the left clip starts anew, so does the right one.
  for (const pair of document.querySelectorAll(".sides")) {
    const [left, right] = pair.querySelectorAll("video");
    if (!left || !right) continue;
    left.addEventListener("seeked", () => { right.currentTime = left.currentTime; });
    // One set of controls is enough: what the left player does, the right one does too.
    left.addEventListener("pause", () => right.pause());
    left.addEventListener("play", () => right.play().catch(() => {}));
    left.addEventListener("ratechange", () => { right.playbackRate = left.playbackRate; });
  }
  apply();
})();
