package pledger.peer;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import pledger.peer.Deals.Advance;
import pledger.peer.Deals.Approve;
import pledger.peer.Deals.Ask;
import pledger.peer.Deals.Close;
import pledger.peer.Deals.Command;
import pledger.peer.Deals.Context;
import pledger.peer.Deals.Register;
import pledger.peer.Deals.Registration;
import pledger.peer.Deals.Stage;

/**
 * The deal workload of the Rust peers: five commands a deal, and at every tenth deal a rival registration that must be
 * refused. In a lane one command follows the other; lanes share no account, and commands are taken from them in turn.
 */
final class Workload {
    private static final int PARTNERS = 1_000;
    private static final int PRODUCTS = 10;
    private static final int DEALS_PER_ACCOUNT = 4;
    private static final int RIVAL_EVERY = 10;
    private static final String[] REGIONS = {"EMEA", "AMER", "APAC"};

    record Sent(Command command, boolean isRival) {}

    private final List<Lane> lanes = new ArrayList<>();
    private int turn;

    Workload(int count) {
        for (var number = 0; number < count; number++) {
            lanes.add(new Lane(number, count));
        }
    }

    Sent next() {
        var sent = lanes.get(turn).next();
        turn = (turn + 1) % lanes.size();
        return sent;
    }

    private static final class Lane {
        private final int number;
        private final int lanes;
        private final Queue<Sent> steps = new ArrayDeque<>();
        private long deal;

        Lane(int number, int lanes) {
            this.number = number;
            this.lanes = lanes;
        }

        Sent next() {
            if (steps.isEmpty()) {
                var account = "client-" + number + "-" + deal / DEALS_PER_ACCOUNT + ".example";
                addDeal(deal * lanes + number, account);
                deal++;
            }
            return steps.remove();
        }

        /** The rival comes between the second step and the third. */
        private void addDeal(long number, String account) {
            var partner = drawn(number, 2, PARTNERS);
            var amount = 1_000 + drawn(number, 4, 250_000);
            add(number, account, "register", 0, new Register(registration(number, partner, account, amount)));
            add(number, account, "approve", 1, new Approve(date(number, 61)));
            if (number % RIVAL_EVERY == 0) {
                var rival = registration(number, (partner + 1) % PARTNERS, account, amount);
                add(number, account, "rival", 2, new Register(rival));
            }
            add(number, account, "qualify", 7, new Advance(Stage.QUALIFIED));
            add(number, account, "commit", 21, new Advance(Stage.COMMITTED));
            add(number, account, "close", 40, new Close(amount, amount * 3 / 10));
        }

        private void add(long number, String account, String step, int day, Ask ask) {
            var isRival = step.equals("rival");
            var id = "d-" + number + (isRival ? "-rival" : "");
            steps.add(new Sent(new Command(account, id, ask, context(number, step, day)), isRival));
        }
    }

    private static Registration registration(long number, long partner, String account, long amount) {
        var product = "Product " + drawn(number, 3, PRODUCTS);
        var region = REGIONS[(int) drawn(number, 5, REGIONS.length)];
        var id = "partner-%04d".formatted(partner);
        return new Registration(id, account + " Inc.", "DE", product, amount, region, date(number, 60));
    }

    private static Context context(long number, String step, int day) {
        var hash = new StringBuilder();
        for (var what = 10; what < 14; what++) {
            var digits = Long.toHexString(drawn(number, what + day));
            hash.append("0".repeat(16 - digits.length())).append(digits);
        }
        var at = date(number, day);
        return new Context("anonymous", "api", number + "-" + step, hash.toString(), at, at, "2020-01-01/1");
    }

    /** The deal's own day 0 and so many days on, in months of 28 days. */
    private static String date(long number, int days) {
        var day = (int) drawn(number, 1, 600) + days;
        return (2024 + day / 336) + "-" + two(day % 336 / 28 + 1) + "-" + two(day % 28 + 1) + "T09:00:00.000000Z";
    }

    private static String two(int number) {
        return (number < 10 ? "0" : "") + number;
    }

    private static long drawn(long deal, int what, int below) {
        return Long.remainderUnsigned(drawn(deal, what), below);
    }

    /** SplitMix64 of the deal's number: looks random, is the same every time. */
    private static long drawn(long deal, int what) {
        var z = (deal * 64 + what) * 0x9e37_79b9_7f4a_7c15L;
        z = (z ^ (z >>> 30)) * 0xbf58_476d_1ce4_e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d0_49bb_1331_11ebL;
        return z ^ (z >>> 31);
    }
}
