import test from 'tape';
import { fit, PAGE, SERIES, SERIES_DARK, textWidth } from '../../src/report/theme.js';

/** Machado, Oliveira and Fernandes 2009: what linear light becomes without red, green or blue receptors. */
const EYES = {
  normal: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protanope: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deuteranope: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritanope: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
};

type Triple = readonly [number, number, number];

function light(color: string): Triple {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const value = parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return [r!, g!, b!];
}

const luminance = ([r, g, b]: Triple) => 0.2126 * r + 0.7152 * g + 0.0722 * b;

function contrast(a: string, b: string): number {
  const [dark, bright] = [luminance(light(a)), luminance(light(b))].sort((x, y) => x - y);
  return (bright! + 0.05) / (dark! + 0.05);
}

function lab([r, g, b]: Triple, eye: readonly number[]): Triple {
  const [x, y, z] = [0, 3, 6].map((at) => Math.min(1, Math.max(0, eye[at]! * r + eye[at + 1]! * g + eye[at + 2]! * b)));
  const f = (t: number) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
  const fx = f((0.4124 * x! + 0.3576 * y! + 0.1805 * z!) / 0.95047);
  const fy = f(luminance([x!, y!, z!]));
  const fz = f((0.0193 * x! + 0.1192 * y! + 0.9505 * z!) / 1.08883);
  return [116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)];
}

test('theme: the colour-blind tell the lines apart, by day and by night', (t) => {
  for (const [name, colors, page, least] of [
    ['light', SERIES, PAGE, 3.1],
    ['dark', SERIES_DARK, '#16181b', 4.5],
  ] as const) {
    for (const color of colors) t.ok(contrast(color, page) >= least, `${name}: ${color} stands out from the page`);
    for (const [who, eye] of Object.entries(EYES)) {
      const seen = colors.map((color) => lab(light(color), eye));
      const distances = seen.flatMap((a, i) =>
        seen.slice(0, i).map((b) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])),
      );
      t.ok(
        Math.min(...distances) >= 17,
        `${name}, ${who}: the nearest two are ${Math.min(...distances).toFixed(1)} apart`,
      );
    }
  }
  t.end();
});

test('fit: a text never wider than its place', (t) => {
  t.equal(fit('LWA', 200, 11), 'LWA');
  const cut = fit('a method with a very long name', 100, 11);
  t.ok(cut.endsWith('…') && textWidth(cut, 11) <= 100, cut);
  t.end();
});
