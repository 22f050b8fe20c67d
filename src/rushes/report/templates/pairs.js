(() => {
  // A still becomes a clip when somebody rests on its pair, presses it, or comes to it by keyboard.
  const start = (pair) => {
    for (const link of pair.querySelectorAll("a[data-clip]")) {
      const still = link.querySelector("img");
      const video = document.createElement("video");
      Object.assign(video, { muted: true, loop: true, playsInline: true, controls: true, poster: still.src });
      video.width = still.width;
      video.height = still.height;
      video.style.aspectRatio = `${still.getAttribute("width")} / ${still.getAttribute("height")}`;
      video.src = link.href;
      video.setAttribute("aria-label", still.alt);
      link.replaceWith(video);
    }
    const videos = [...pair.querySelectorAll("video")];
    for (const video of videos) {
      if (video !== videos[0]) video.currentTime = videos[0].currentTime;
      video.play().catch(() => {});
    }
  };
  const stop = (pair) => {
    for (const video of pair.querySelectorAll("video")) video.pause();
  };
  for (const pair of document.querySelectorAll("[data-pair]")) {
    pair.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && start(pair));
    pair.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && stop(pair));
    pair.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target === pair) start(pair);
    });
    pair.addEventListener("click", (event) => {
      if (!event.target.closest("a[data-clip]")) return;
      event.preventDefault();
      start(pair);
    });
  }
  const words = document.getElementById("words");
  words.addEventListener("input", () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let num = 0;
    for (const pair of document.querySelectorAll("[data-pair]")) {
      const text = pair.querySelector(".prompt").textContent.toLowerCase();
      pair.hidden = !wanted.every((word) => text.includes(word));
      num += pair.hidden ? 0 : 1;
    }
    for (const part of document.querySelectorAll("main section")) part.hidden = !part.querySelector("[data-pair]:not([hidden])");
    document.getElementById("shown").textContent = wanted.length ? `${num} pairs` : "";
  });
})();
