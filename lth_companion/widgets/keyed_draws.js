// The keyed draws of lth_core/draws.py, to the bit: SHA-256 of a key, numpy's Philox 4x64-10 on it, numpy's permutations,
// and numpy's normal draws (ziggurat). 64-bit words are two 32-bit halves, so that every sum stays exact.

// SHA-256's constants: fractions of the cube and square roots of the first primes.
const SHA = (() => {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const fraction = (v) => Math.floor((v - Math.floor(v)) * 2 ** 32) >>> 0;
  return { k: Int32Array.from(primes, (p) => fraction(Math.cbrt(p))), h: primes.slice(0, 8).map((p) => fraction(Math.sqrt(p))) };
})();

/** SHA-256 of ASCII text, as eight 32-bit words. (crypto.subtle is missing on pages that come without https.) */
function sha256(text) {
  const { k } = SHA, h = SHA.h.slice();
  const blocks = Math.ceil((text.length + 9) / 64), bytes = new DataView(new ArrayBuffer(64 * blocks));
  for (let i = 0; i < text.length; i++) bytes.setUint8(i, text.charCodeAt(i));
  bytes.setUint8(text.length, 0x80);
  bytes.setUint32(64 * blocks - 4, 8 * text.length);
  const turn = (v, by) => (v >>> by) | (v << (32 - by)), w = new Int32Array(64);
  for (let block = 0; block < blocks; block++) {
    for (let i = 0; i < 64; i++) {
      if (i < 16) w[i] = bytes.getInt32(64 * block + 4 * i);
      else {
        const s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >>> 3);
        const s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >>> 10);
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
      }
    }
    let [a, b, c, d, e, f, g, last] = h;
    for (let i = 0; i < 64; i++) {
      const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25), choice = (e & f) ^ (~e & g);
      const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22), most = (a & b) ^ (a & c) ^ (b & c);
      const one = (last + s1 + choice + k[i] + w[i]) | 0, two = (s0 + most) | 0;
      [last, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, last].forEach((v, i) => (h[i] = (h[i] + v) >>> 0));
  }
  return h;
}

/** The upper half of the product of two 32-bit words. */
function high32(a, b) {
  const low = a * (b & 0xffff), up = a * (b >>> 16); // both below 2^48
  return Math.floor((up + Math.floor(low / 65536)) / 65536);
}

/** out[at..at + 3] = upper word, lower word of the product of two 64-bit words: each high half first. */
function multiply(ah, al, bh, bl, out) {
  const lowHigh = high32(al, bl), crossA = Math.imul(ah, bl) >>> 0, crossB = Math.imul(al, bh) >>> 0;
  const middle = lowHigh + crossA + crossB;
  const upper = high32(ah, bl) + high32(al, bh) + (Math.imul(ah, bh) >>> 0) + Math.floor(middle / 2 ** 32);
  out[0] = high32(ah, bh) + Math.floor(upper / 2 ** 32);
  out[1] = upper >>> 0;
  out[2] = middle >>> 0;
  out[3] = Math.imul(al, bl) >>> 0;
}

// Ziggurat of 256 layers of equal area (Marsaglia and Tsang 2000, numpy's variant): right edges, scales, heights.
const EDGE = 3.6541528853610088, AREA = 0.004928673233974655;
const ZIGGURAT = (() => {
  const density = (x) => Math.exp(-0.5 * x * x), x = new Float64Array(256);
  x[255] = EDGE;
  for (let i = 254; i > 0; i--) x[i] = Math.sqrt(-2 * Math.log(AREA / x[i + 1] + density(x[i + 1])));
  const base = AREA / density(EDGE); // as wide as the lowest layer would be, its tail laid flat
  const scale = x.map((v, i) => (i ? v : base) / 2 ** 52);
  const inside = x.map((v, i) => Math.floor((i ? x[i - 1] / v : EDGE / base) * 2 ** 52));
  return { scale, inside, height: x.map((v, i) => (i ? density(v) : 1)) };
})();

/** `draws.generator(*key)`: a generator that depends on the key alone, such as `[0, 2, "init", "fc1"]`. */
function generator(key) {
  const swap = (v) => ((v >>> 24) | ((v >>> 8) & 0xff00) | ((v << 8) & 0xff0000) | (v << 24)) >>> 0;
  const digest = sha256(`[${key.map((part) => JSON.stringify(part)).join(", ")}]`).map(swap); // as Python spells a list
  const words = new Uint32Array(8), left = new Uint32Array(4), right = new Uint32Array(4);
  let counter = 0, next = 4, kept = null;

  function block() {
    counter += 1; // 2^32 blocks are more than anybody draws
    let a1 = 0, a0 = counter, b1 = 0, b0 = 0, c1 = 0, c0 = 0, d1 = 0, d0 = 0;
    let [k0, k1, l0, l1] = digest;
    for (let round = 0; round < 10; round++) {
      multiply(0xd2e7470e, 0xe14c6c93, a1, a0, left);
      multiply(0xca5a8263, 0x95121157, c1, c0, right);
      a1 = (right[0] ^ b1 ^ k1) >>> 0;
      a0 = (right[1] ^ b0 ^ k0) >>> 0;
      b1 = right[2];
      b0 = right[3];
      c1 = (left[0] ^ d1 ^ l1) >>> 0;
      c0 = (left[1] ^ d0 ^ l0) >>> 0;
      d1 = left[2];
      d0 = left[3];
      const k = k0 + 0x7f4a7c15, l = l0 + 0x84caa73b;
      k1 = (k1 + 0x9e3779b9 + (k > 0xffffffff ? 1 : 0)) >>> 0;
      l1 = (l1 + 0xbb67ae85 + (l > 0xffffffff ? 1 : 0)) >>> 0;
      k0 = k >>> 0;
      l0 = l >>> 0;
    }
    words.set([a1, a0, b1, b0, c1, c0, d1, d0]);
    next = 0;
  }

  /** The place of the next 64-bit word in `words`: its upper half, the lower one behind it. */
  function place() {
    if (next === 4) block();
    return 2 * next++;
  }

  function uint32() { // the lower half of a word first
    if (kept !== null) {
      const half = kept;
      kept = null;
      return half;
    }
    const at = place();
    kept = words[at];
    return words[at + 1];
  }

  function uniform() {
    const at = place();
    return (words[at] * 2 ** 21 + (words[at + 1] >>> 11)) / 2 ** 53;
  }

  /** A whole number from 0 to `most`: as many bits as it has, drawn again when they make more. */
  function upTo(most) {
    const mask = 2 ** (32 - Math.clz32(most)) - 1;
    for (;;) {
      const value = (uint32() & mask) >>> 0;
      if (value <= most) return value;
    }
  }

  return {
    uniform,
    /** `values` in a random order, in place. */
    permute(values) {
      for (let i = values.length - 1; i > 0; i--) {
        const j = upTo(i), swapped = values[i];
        values[i] = values[j];
        values[j] = swapped;
      }
      return values;
    },
    normal() {
      const { scale, inside, height } = ZIGGURAT;
      for (;;) {
        const at = place(), high = words[at], low = words[at + 1];
        const layer = low & 0xff, negative = low & 0x100, size = (high & 0x1fffffff) * 2 ** 23 + (low >>> 9);
        const x = (negative ? -size : size) * scale[layer];
        if (size < inside[layer]) return x;
        if (layer === 0) {
          for (;;) {
            const far = -Math.log1p(-uniform()) / EDGE, y = -Math.log1p(-uniform());
            if (2 * y > far * far) return Math.floor(size / 256) % 2 ? -(EDGE + far) : EDGE + far;
          }
        } else if ((height[layer - 1] - height[layer]) * uniform() + height[layer] < Math.exp(-0.5 * x * x)) return x;
      }
    },
  };
}
