package pledger.peer;

import com.fasterxml.jackson.annotation.JsonIgnore;
import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * How a count grew until it rested.
 *
 * @param seconds from the clock's start until the count had its last value
 * @param firstSeconds until it had its first
 * @param fromFirstTenthPerSecond the rate once a tenth was done
 * @param cpuSeconds on a core, of this process
 * @param machineCpuSeconds of everybody on this machine
 */
record Pace(
        double seconds,
        double firstSeconds,
        double perSecond,
        double fromFirstTenthPerSecond,
        double cpuSeconds,
        double machineCpuSeconds,
        @JsonIgnore long last) {
    private static final Duration LOOK = Duration.ofMillis(10);
    /** Without a change for so long, and for so many commits, a count rests. */
    private static final Duration REST = Duration.ofSeconds(1);
    private static final int REST_COMMITS = 3;
    /** So long after it would rest, nothing more is waited for. */
    private static final Duration STALL = Duration.ofSeconds(120);

    private record Sample(long count, long nanos, double cpu, double machine) {
        static Sample of(long count) {
            return new Sample(count, System.nanoTime(), Processors.ownSeconds(), Processors.machineSeconds());
        }

        double secondsSince(Sample other) {
            return (nanos - other.nanos) / 1e9;
        }
    }

    /**
     * Starts the application and watches until there are as many as there are commands, and the count rests: markers of
     * transactions are offsets too, so that the number alone does not say that all is there.
     */
    static Pace watch(Options options, Application application, LongSupplier count) throws InterruptedException {
        long total = options.commands;
        var rest = Math.max(REST.toMillis(), (long) REST_COMMITS * options.commitMs) / 1e3;
        var start = Sample.of(0);
        application.start();
        Sample first = null;
        Sample tenth = null;
        var changed = start;
        while (true) {
            Thread.sleep(LOOK.toMillis());
            application.check();
            var now = Sample.of(count.getAsLong());
            if (now.count != changed.count) {
                changed = now;
                first = first == null ? now : first;
                tenth = tenth == null && now.count >= total / 10 ? now : tenth;
            }
            var rested = now.secondsSince(changed);
            if (changed.count >= total && rested > rest) {
                return of(start, first, tenth, changed, total);
            }
            if (rested > rest + STALL.toSeconds()) {
                throw new Failure("%,d of %,d were there, and no more within %d s".formatted(changed.count, total, STALL.toSeconds()));
            }
        }
    }

    private static Pace of(Sample start, Sample first, Sample tenth, Sample end, long total) {
        var seconds = end.secondsSince(start);
        // Markers are as frequent before the first tenth as after it.
        var afterTenth = total * (1 - (double) tenth.count / end.count);
        return new Pace(
                seconds,
                first.secondsSince(start),
                total / seconds,
                afterTenth / end.secondsSince(tenth),
                end.cpu - start.cpu,
                end.machine - start.machine,
                end.count);
    }
}
