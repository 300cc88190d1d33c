/** What the studies share: more than one time of one workload, told as a table. */

/** What a study found. */
export interface Study {
  title: string;
  rows: Record<string, string | number>[];
  /** What is to be read from it, in sentences. */
  findings: string[];
}

/** What a study is run with. */
export interface StudyOptions {
  /** About how long each part is measured. */
  seconds: number;
  signal?: AbortSignal | undefined;
  onProgress?: (what: string, done: number, total: number) => void;
}

/** A study, by the name it is asked for. */
export type Investigate = (options: StudyOptions) => Promise<Study>;
