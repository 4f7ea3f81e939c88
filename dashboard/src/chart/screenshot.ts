/** Exports the chart as an image, with title and indicator values. */

const LINE_HEIGHT = 18;

/** Draws title and indicator values on a screenshot, and returns it. */
export function renderPicture(canvas: HTMLCanvasElement, box: HTMLElement, title: string): HTMLCanvasElement {
  const context = canvas.getContext("2d")!;
  const { left, top, width, height } = box.getBoundingClientRect();
  context.scale(canvas.width / width, canvas.height / height);
  const write = (element: Element, text: string, x: number, y: number): void => {
    const { font, color } = getComputedStyle(element);
    Object.assign(context, { font, fillStyle: color, textBaseline: "top" });
    context.fillText(text, x, y);
  };
  let end = 0;
  for (const word of box.querySelectorAll(".indicator, .indicator b")) {
    const rect = word.getBoundingClientRect();
    write(word, word.firstChild?.textContent ?? "", rect.left - left, rect.top - top);
    if (!end || rect.bottom - top < end + LINE_HEIGHT) end = rect.bottom - top;
  }
  write(box, title, 10, end + 4);
  return canvas;
}
