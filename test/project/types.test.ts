import { fileURLToPath } from 'node:url';
import test from 'tape';
import ts from 'typescript';

// The declarations must hold by themselves in a strict project that knows nothing of Node's types and checks libraries too.
test('types: the declarations compile in a project of plain settings', (t) => {
  const face = fileURLToPath(new URL('../../dist/index.d.ts', import.meta.url));
  const program = ts.createProgram([face], {
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: [],
  });
  t.ok(program.getSourceFile(face), 'they are there');
  const found = ts
    .getPreEmitDiagnostics(program)
    .map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);
  t.deepEqual(found, []);
  t.end();
});
