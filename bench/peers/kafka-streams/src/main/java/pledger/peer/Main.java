package pledger.peer;

import java.util.List;

/** The deal workload of pledger's benchmark on Kafka Streams; `bench/peers/README.md` says what is compared. */
public final class Main {
    private static final int FAILED = 1;
    private static final int WRONG_USE = 2;

    private Main() {}

    /** Exits with 1 where a run failed or did not come out as it must, with 2 where the command line is wrong. */
    public static void main(String[] arguments) {
        if (List.of(arguments).contains("--help") || List.of(arguments).contains("-h")) {
            System.out.print(Options.HELP);
            return;
        }
        try {
            var options = Options.parse(arguments);
            for (var mode : options.modes) {
                run(mode, options);
            }
        } catch (Options.Wrong e) {
            end(WRONG_USE, e.getMessage() + "; --help lists what there is");
        } catch (Failure e) {
            end(FAILED, e.getMessage());
        } catch (Exception e) {
            end(FAILED, Failure.chain(e));
        }
        // A client's thread that still tries to reach a broker does not hold the program back.
        System.exit(0);
    }

    private static void run(Options.Mode mode, Options options) throws Exception {
        try (var topics = new Topics(options)) {
            topics.create();
            var result =
                    switch (mode) {
                        case DECIDING -> DecidingRun.measure(options, topics);
                        case LATENCY -> LatencyRun.measure(options, topics);
                        case REBUILD -> RebuildRun.measure(options, topics);
                    };
            System.err.println(result.words());
            System.out.println(Json.line(result));
        }
    }

    private static void end(int code, String why) {
        System.err.println("error: " + why);
        System.exit(code);
    }
}
