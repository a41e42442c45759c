package pledger.peer;

/** What a mode found; its fields are printed as JSON. */
interface Result {
    /** For people, on one line. */
    String words();

    /** What the application was told. */
    record Setup(String guarantee, int commitMs, int partitions, int threads) {
        static Setup of(Options options) {
            return new Setup(options.guarantee, options.commitMs, options.partitions, options.threads);
        }

        String words() {
            return "Kafka Streams, %s, commit %d ms, %d partitions, %d threads".formatted(guarantee, commitMs, partitions, threads);
        }
    }
}
