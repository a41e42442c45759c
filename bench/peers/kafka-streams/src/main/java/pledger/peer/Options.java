package pledger.peer;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.streams.StreamsConfig;

/** What the command line asks for. */
final class Options {
    static final String HELP =
            """
            The deal workload of pledger's benchmark on Kafka Streams.

            Usage: java -jar kafka-streams-peer.jar --kafka BROKERS [OPTIONS] [MODE]...

            Modes, each with a result as one line of JSON on standard output; deciding and latency where none is named:
              deciding   commands that lie in a topic, decided into a ledger topic
              latency    commands at a steady rate, until a read_committed consumer has the decision
              rebuild    a pipeline view folded from a ledger topic

            Options:
              --kafka BROKERS         Brokers; topics are made there, and removed again [env: PLEDGER_KAFKA]
              --commands N            Commands of deciding and rebuild [default: 1000000]
              --partitions N          Of every topic [default: 4]
              --threads N             num.stream.threads [default: 2]
              --guarantee NAME        exactly_once_v2 or at_least_once [default: exactly_once_v2]
              --commit-ms N           commit.interval.ms [default: 100]
              --rate N                Commands a second of latency [default: 2000]
              --seconds N             How long latency is measured [default: 30]
              --warm-up-seconds N     How long it runs before that [default: 30]
              --lanes N               Accounts that have a deal under way [default: 256]
              --replicas N            How many brokers keep each record [default: 1]
              --property NAME=VALUE   A property of Kafka Streams, as often as needed
              --help                  This text
            """;

    /** A command line that cannot be carried out. */
    static final class Wrong extends Exception {
        private static final long serialVersionUID = 1;

        Wrong(String message) {
            super(message);
        }
    }

    enum Mode {
        DECIDING,
        LATENCY,
        REBUILD
    }

    final List<Mode> modes = new ArrayList<>();
    final Map<String, String> properties = new LinkedHashMap<>();
    String kafka = System.getenv().getOrDefault("PLEDGER_KAFKA", "");
    String guarantee = StreamsConfig.EXACTLY_ONCE_V2;
    int commands = 1_000_000;
    int partitions = 4;
    int threads = 2;
    int commitMs = 100;
    int rate = 2_000;
    int seconds = 30;
    int warmUpSeconds = 30;
    int lanes = 256;
    int replicas = 1;

    static Options parse(String... arguments) throws Wrong {
        var options = new Options();
        for (var at = 0; at < arguments.length; at++) {
            var name = arguments[at];
            if (!name.startsWith("--")) {
                options.modes.add(mode(name));
                continue;
            }
            var inline = name.indexOf('=');
            if (inline > 0) {
                options.set(name.substring(0, inline), name.substring(inline + 1));
            } else if (at + 1 < arguments.length) {
                at++;
                options.set(name, arguments[at]);
            } else {
                options.set(name, null);
            }
        }
        if (options.modes.isEmpty()) {
            options.modes.addAll(List.of(Mode.DECIDING, Mode.LATENCY));
        }
        if (options.kafka.isEmpty()) {
            throw new Wrong("no --kafka; `cargo xtask kafka up` starts a broker and says where it is");
        }
        return options;
    }

    private static Mode mode(String name) throws Wrong {
        for (var mode : Mode.values()) {
            if (mode.name().toLowerCase().equals(name)) {
                return mode;
            }
        }
        throw new Wrong("there is no mode " + name + ": deciding, latency or rebuild");
    }

    private void set(String name, String value) throws Wrong {
        switch (name) {
            case "--kafka" -> kafka = given(name, value);
            case "--guarantee" -> guarantee = guarantee(given(name, value));
            case "--property" -> addProperty(given(name, value));
            case "--commands" -> commands = number(name, value, 10, 100_000_000);
            case "--partitions" -> partitions = number(name, value, 1, 1_000);
            case "--threads" -> threads = number(name, value, 1, 64);
            case "--commit-ms" -> commitMs = number(name, value, 1, 60_000);
            case "--rate" -> rate = number(name, value, 1, 1_000_000);
            case "--seconds" -> seconds = number(name, value, 1, 3_600);
            case "--warm-up-seconds" -> warmUpSeconds = number(name, value, 0, 3_600);
            case "--lanes" -> lanes = number(name, value, 1, 100_000);
            case "--replicas" -> replicas = number(name, value, 1, 100);
            default -> throw new Wrong("there is no option " + name);
        }
    }

    private static String given(String name, String value) throws Wrong {
        if (value == null || value.isEmpty()) {
            throw new Wrong(name + " needs a value");
        }
        return value;
    }

    private static String guarantee(String value) throws Wrong {
        if (!List.of(StreamsConfig.EXACTLY_ONCE_V2, StreamsConfig.AT_LEAST_ONCE).contains(value)) {
            throw new Wrong("--guarantee is exactly_once_v2 or at_least_once, not " + value);
        }
        return value;
    }

    private static int number(String name, String value, int least, int most) throws Wrong {
        try {
            var number = Integer.parseInt(given(name, value).replace("_", ""));
            if (number >= least && number <= most) {
                return number;
            }
        } catch (NumberFormatException e) {
            // Said below.
        }
        throw new Wrong(name + " is a number from " + least + " to " + most + ", not " + value);
    }

    private void addProperty(String value) throws Wrong {
        var at = value.indexOf('=');
        if (at < 1) {
            throw new Wrong("--property is of the form NAME=VALUE, not " + value);
        }
        properties.put(value.substring(0, at), value.substring(at + 1));
    }
}
