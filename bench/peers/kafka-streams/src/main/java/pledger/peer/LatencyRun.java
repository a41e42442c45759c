package pledger.peer;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.ProducerRecord;
import pledger.peer.Deals.Command;

/** Commands at a steady rate, until a read_committed consumer has the decision. */
record LatencyRun(
        String mode,
        @JsonUnwrapped Setup setup,
        int perSecond,
        long commands,
        double p50Ms,
        double p90Ms,
        double p99Ms,
        double maxMs,
        double untilRunningSeconds,
        double cpuSeconds)
        implements Result {
    /** The number of a command, and when it had to be sent. Kafka Streams hands headers on to what comes of a record. */
    private static final String SENT = "sent";
    private static final Duration TO_ARRIVE = Duration.ofSeconds(60);

    static LatencyRun measure(Options options, Topics topics) throws Exception {
        var warmUp = Math.multiplyExact(options.rate, options.warmUpSeconds);
        var all = Math.addExact(warmUp, Math.multiplyExact(options.rate, options.seconds));
        long[] latencies;
        long rivals;
        double cpu;
        double untilRunning;
        try (var application = new Application(options, topics, Deciding.topology(topics))) {
            var start = System.nanoTime();
            application.start();
            application.awaitRunning();
            untilRunning = (System.nanoTime() - start) / 1e9;
            var before = Processors.ownSeconds();
            var arrivals = CompletableFuture.supplyAsync(() -> arrivals(options, topics, application, all));
            rivals = send(options, topics, all);
            latencies = arrivals.get();
            cpu = Processors.ownSeconds() - before;
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Failure failure ? failure : e;
        }
        Ledger.read(options, topics, all, rivals);
        var measured = Arrays.copyOfRange(latencies, warmUp, all);
        Arrays.sort(measured);
        return new LatencyRun(
                "latency",
                Setup.of(options),
                options.rate,
                measured.length,
                quantile(measured, 0.5),
                quantile(measured, 0.9),
                quantile(measured, 0.99),
                quantile(measured, 1),
                untilRunning,
                cpu);
    }

    /** Sends at the rate, whether or not the decisions keep up; answers how many commands are a rival's. */
    private static long send(Options options, Topics topics, int all) {
        var workload = new Workload(options.lanes);
        long rivals = 0;
        try (var writer = new Clients.Writer<Command>(options, topics.commands(), Deciding.COMMANDS, Map.of("linger.ms", 0))) {
            var start = System.nanoTime();
            for (var number = 0; number < all; number++) {
                var due = start + number * 1_000_000_000L / options.rate;
                for (var left = due - System.nanoTime(); left > 0; left = due - System.nanoTime()) {
                    LockSupport.parkNanos(left);
                }
                var sent = workload.next();
                rivals += sent.isRival() ? 1 : 0;
                var one = new ProducerRecord<>(topics.commands(), sent.command().accountId(), sent.command());
                one.headers().add(SENT, ByteBuffer.allocate(12).putInt(number).putLong(due).array());
                writer.write(one);
            }
            writer.flush();
        }
        return rivals;
    }

    /** How long each command took, in nanoseconds. */
    private static long[] arrivals(Options options, Topics topics, Application application, int all) {
        var latencies = new long[all];
        var last = System.nanoTime();
        var arrived = 0;
        try (var reader = Clients.reader(options, topics)) {
            while (arrived < all) {
                application.check();
                var polled = reader.poll(Duration.ofMillis(100));
                var now = System.nanoTime();
                for (var one : polled) {
                    var sent = ByteBuffer.wrap(one.headers().lastHeader(SENT).value());
                    latencies[sent.getInt()] = now - sent.getLong();
                    arrived++;
                    last = now;
                }
                if (now - last > TO_ARRIVE.toNanos()) {
                    throw new Failure("%,d of %,d decisions came, and no more within %d s".formatted(arrived, all, TO_ARRIVE.toSeconds()));
                }
            }
        }
        return latencies;
    }

    private static double quantile(long[] sorted, double part) {
        return sorted[(int) Math.round(part * (sorted.length - 1))] / 1e6;
    }

    @Override
    public String words() {
        return ("%s: at %,d commands/s visible after p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, at most %.0f ms;"
                        + " %.1f s on a core, sending and reading included")
                .formatted(setup.words(), perSecond, p50Ms, p90Ms, p99Ms, maxMs, cpuSeconds);
    }
}
