package pledger.peer;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;

/** Time spent on cores. */
final class Processors {
    /** Of Linux, on every usual machine. */
    private static final double TICKS_PER_SECOND = 100;
    /** In the first line of /proc/stat: user, nice, system and both kinds of interrupts; the others are idle. */
    private static final int[] BUSY = {1, 2, 3, 6, 7};

    private static final OperatingSystemMXBean SYSTEM = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private Processors() {}

    static double ownSeconds() {
        return SYSTEM.getProcessCpuTime() / 1e9;
    }

    /** Of everybody; not a number where the machine does not tell. */
    static double machineSeconds() {
        try (var lines = Files.lines(Path.of("/proc/stat"))) {
            var fields = lines.findFirst().orElse("").split("\\s+");
            double ticks = 0;
            for (var field : BUSY) {
                ticks += Long.parseLong(fields[field]);
            }
            return ticks / TICKS_PER_SECOND;
        } catch (IOException | NumberFormatException | ArrayIndexOutOfBoundsException e) {
            return Double.NaN;
        }
    }
}
