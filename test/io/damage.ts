import fc from 'fast-check';

/** A whole file with some of its first bytes changed, and cut or lengthened: what disks, mirrors and enemies make of it. */
export function damaged(file: Uint8Array, headerLength: number): fc.Arbitrary<Uint8Array> {
  const change = fc.tuple(fc.nat(Math.min(headerLength, file.length) - 1), fc.nat(255));
  return fc
    .tuple(fc.array(change, { maxLength: 6 }), fc.integer({ min: -file.length, max: 40 }))
    .map(([changes, growth]) => {
      const bytes = new Uint8Array(file.length + Math.max(0, growth));
      bytes.set(file);
      for (const [at, value] of changes) bytes[at] = value;
      return growth < 0 ? bytes.slice(0, file.length + growth) : bytes;
    });
}
