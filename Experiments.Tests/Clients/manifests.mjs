// node manifests.mjs FILE
// Prints the kind of each Kubernetes object in FILE. Fails for one that its schema does not allow.
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';

for (const document of parseAllDocuments(readFileSync(process.argv[2], 'utf8'))) {
  const object = document.toJS();
  const { [object.kind]: Model } = await import(`kubernetes-models/${object.apiVersion}`);
  new Model(object).validate();
  console.log(object.kind);
}
